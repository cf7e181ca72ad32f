"""The catalogue and ``prepare-repo`` against all 28 real releases."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Dict, Set

import pytest

from bertkit.errors import UsageProblem
from bertkit.launch.nodes import modules
from bertkit.launch.preflight import ALWAYS
from bertkit.launch.recipes import recipe, script_flags
from bertkit.launch.recipes.job import assemble, name_of
from bertkit.prepare import prepare
from bertkit.resources import shipped
from bertkit.upstream.catalogue import load, numbers, with_bert
from bertkit.upstream.checkout import differing, fetch
from bertkit.upstream.lock import differences, read_lock
from bertkit.upstream.scan import scan
from bertkit.upstream.source import checked
from tests.imports_of import imports_of

pytestmark = pytest.mark.real

RELEASES = pytest.mark.parametrize("release", with_bert(), ids=lambda release: release.version)


def test_every_catalogued_branch_is_there(upstream_url):
    found = scan(checked(upstream_url, "test"))
    assert found.gone == ()
    assert found.known + len(found.moved) == len(load())


@RELEASES
def test_the_catalogue_is_what_the_repository_has(release, upstream_url, tmp_path):
    fetched = fetch(checked(upstream_url, "test"), release, tmp_path)
    assert fetched.commit == release.commit
    assert differing(tmp_path, release) == []
    catalogued = {
        str(path.relative_to(tmp_path))
        for path in (tmp_path / "TensorFlow/nlp/bert").rglob("*")
        if path.suffix in (".py", ".sh", ".json") or path.name == "requirements.txt"
    }
    assert catalogued <= set(release.files)
    if numbers(release.version) >= (0, 14, 0):  # before, upstream's scripts lay elsewhere
        for job in recipe.names():
            compare_modules(tmp_path, release.version, recipe.load(job))


def compare_modules(tree, version, job):
    """What *job*'s script imports is what a preflight looks for, and a CPU run has it."""
    imported = imports_of(tree, job.script)
    packages = {module.split(".")[0] for module, _ in imported}
    looked_for = set(modules.needed_by(version, ALWAYS + job.modules))
    assert looked_for - packages <= {"dllogger"}, job.job
    # TensorFlow brings these, and Horovod is looked for where there are several ranks.
    brought = {"absl", "numpy", "six", "horovod", "__future__"}
    brought |= set(getattr(sys, "stdlib_module_names", packages))  # Python 3.10 and newer
    assert packages - looked_for <= brought, job.job
    ours = {each for each in imported if each[0].split(".")[0] == "habana_frameworks"}
    assert names_that_the_stand_in_lacks(ours) == []


def names_that_the_stand_in_lacks(names):
    """Of what upstream imports of Habana's at its start, what a CPU run has nothing for."""
    lacking = []
    for module, name in sorted(names, key=str):
        place = (shipped("launchers") / "cpu").joinpath(*module.split("."))
        source = (
            place.with_suffix(".py")
            if place.with_suffix(".py").is_file()
            else place / "__init__.py"
        )
        defined = source.read_text() if source.is_file() else ""
        is_module = name is None or (place / f"{name}.py").is_file()
        if not defined or not (is_module or f"def {name}(" in defined):
            lacking.append(f"{module}.{name}")
    return lacking


@RELEASES
def test_prepare_repo_makes_a_patched_checkout(release, upstream_url, tmp_path):
    wish = {
        "synapse_version": release.version,
        "upstream": upstream_url,
        "destination": tmp_path / "tree",
    }
    result = prepare(**wish)
    assert result.commit == release.commit
    assert result.changed
    lock = read_lock(tmp_path / "tree")
    assert differences(tmp_path / "tree", lock) == []
    touched = set(lock.expected_files())
    assert set(differing(tmp_path / "tree", release)) == touched & set(release.files)
    assert not prepare(**wish).changed
    assert offered(tmp_path / "tree") == expected(release.version)


def offered(tree: Path) -> Dict[str, Set[str]]:
    """Job -> its options that the release's script has; the job's own flags it must have."""
    found: Dict[str, Set[str]] = {}
    for job in recipe.names():
        mine = recipe.load(job)
        known = script_flags.read(tree, mine.script)
        assert known is not None
        assert all((tree / part).is_file() for part in mine.evaluation[:1])
        assemble(mine, (), known)
        assert known.knows(name_of(mine.horovod_flag))
        found[job] = set()
        for option in mine.options:
            with contextlib.suppress(UsageProblem):
                assemble(mine, (option,), known)
                found[job].add(option)
        if job == "phase1":
            packing = assemble(mine, ("packed",) if "packed" in found[job] else (), known)
            found["flags for packing"] = {
                flag for flag in packing.flags if "packed" in flag or "per_pack" in flag
            }
    return found


def expected(version: str) -> Dict[str, Set[str]]:
    """What upstream's history says."""
    number = tuple(map(int, version.split(".")))
    profile = {"profile"} if number >= (1, 4, 0) else set()
    phases = profile | {"eval"} | ({"packed"} if number >= (1, 2, 0) else set())
    flags = {"--enable_packed_data_mode=True", "--avg_seq_per_pack=${avg_seq_per_sample}"}
    return {
        "phase1": phases,
        "phase2": phases,
        "mrpc": profile,
        "squad": profile,
        "flags for packing": flags if (1, 2, 0) <= number < (1, 6, 0) else set(),
    }

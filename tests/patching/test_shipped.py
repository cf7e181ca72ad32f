"""The patches that bertkit ships, without upstream: all diffs, and the stand-in.

What is in front of a patch is rebuilt from the diffs' own hunks: the lines that they name stand
where they say, and any other line is filler. That runs the engine over every shipped line; that
the pinned ids are upstream's is for ``tests/real``.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Dict, Iterator, List, Tuple

import pytest

from bertkit.blobs import blob_id
from bertkit.patching import apply_series, load_series, states, unapply_series
from bertkit.patching.chain import history
from bertkit.patching.diffs import Diff, Hunk
from bertkit.patching.model import Image, Patch, Target
from bertkit.patching.state import paths_in
from bertkit.resources import shipped
from bertkit.upstream import catalogue
from bertkit.upstream.lock import Lock, write_lock

SERIES = load_series()


def every_image() -> Iterator[Tuple[Patch, Target, Image]]:
    for patch in SERIES.patches:
        for target in patch.targets:
            for image in target.images.values():
                yield patch, target, image


def name(value: object) -> str:
    return getattr(value, "id", None) or getattr(value, "path", None) or value.pre[:12]  # type: ignore


ALL = pytest.mark.parametrize(("patch", "target", "image"), list(every_image()), ids=name)


def rebuilt(*sides: List[Tuple[int, Tuple[bytes, ...]]]) -> bytes:
    """A file that has each run of lines at its place (from 0), and filler elsewhere."""
    known: Dict[int, bytes] = {}
    for side in sides:
        for start, run in side:
            for at, line in enumerate(run, start):
                assert known.setdefault(at, line) == line, "two diffs disagree about a line"
    last = max(known)
    return b"".join(known.get(at, b"filler %d\n" % at) for at in range(last + 1))


def old(diff: Diff) -> List[Tuple[int, Tuple[bytes, ...]]]:
    return [(hunk.offset, hunk.old) for hunk in diff.hunks]


def new(diff: Diff) -> List[Tuple[int, Tuple[bytes, ...]]]:
    return [(hunk.new_offset, hunk.new) for hunk in diff.hunks]


def pinned_to(diff: Diff, before: bytes, after: bytes) -> Diff:
    return replace(diff, pre=blob_id(before), post=blob_id(after))


def replaced(content: bytes, hunks: Tuple[Hunk, ...]) -> bytes:
    """What git would make of it: written apart from the engine."""
    lines = content.splitlines(keepends=True)
    for hunk in reversed(hunks):
        lines[hunk.offset : hunk.offset + len(hunk.old)] = hunk.new
    return b"".join(lines)


@ALL
def test_every_shipped_diff_is_what_its_index_says(
    patch: Patch, target: Target, image: Image
) -> None:
    diff = image.read(target.path)
    assert diff.mode == target.mode
    assert [path for path in patch.folder.glob("*.diff") if path == image.diff]


def test_no_diff_lies_about_that_no_index_names() -> None:
    named = {image.diff for _, _, image in every_image()}
    assert set(SERIES.directory.glob("*/*.diff")) == named


@ALL
def test_every_shipped_diff_goes_there_and_back_on_a_file_rebuilt_from_it(
    patch: Patch, target: Target, image: Image
) -> None:
    diff = image.read(target.path)
    before = rebuilt(old(diff))
    after = replaced(before, diff.hunks)
    diff = pinned_to(diff, before, after)
    assert diff.apply(before) == after
    assert diff.unapply(after) == before


@pytest.mark.parametrize(
    ("patch", "target", "image"),
    [each for each in every_image() if history(SERIES, each[1].path, each[2].pre)],
    ids=name,
)
def test_a_diff_that_follows_another_agrees_with_it(
    patch: Patch, target: Target, image: Image
) -> None:
    steps = history(SERIES, target.path, image.pre)
    first, second = steps[-1].image.read(target.path), image.read(target.path)
    between = rebuilt(new(first), old(second))
    assert replaced(between, second.hunks) != between


@ALL
def test_a_diff_leaves_no_white_space_at_ends_of_lines(
    patch: Patch, target: Target, image: Image
) -> None:
    added = [line for hunk in image.read(target.path).hunks for line in hunk.new]
    kept = {line for hunk in image.read(target.path).hunks for line in hunk.old}
    assert [line for line in added if line not in kept and line.rstrip() + b"\n" != line] == []


def test_each_release_of_the_catalogue_takes_the_whole_series() -> None:
    from bertkit.patching.matrix import matrix

    rows = matrix(SERIES)
    assert len(rows) == 28
    for row in rows:
        for patch in row.patches:
            has_the_defect = row.release in SERIES[patch.id].releases
            expected = "applicable" if has_the_defect else "unsupported-release"
            assert patch.state == expected, (row.release, patch)


@ALL
def test_what_an_index_says_about_releases_is_what_the_catalogue_says(
    patch: Patch, target: Target, image: Image
) -> None:
    from bertkit.patching.releases import parse_range

    steps = history(SERIES, target.path, image.pre)
    origin = steps[0].image.pre if steps else image.pre
    where = [r.version for r in catalogue.with_bert() if r.files.get(target.path) == origin]
    said = image.seen_in.split(" (")[0]
    if said == "standin":
        assert where == []
    else:
        seen = parse_range(said)
        assert where == [r.version for r in catalogue.with_bert() if r.version in seen]


# The stand-in is a whole tree, so it shows the real files.
STANDIN = shipped("standin")
SCRIPT = "TensorFlow/nlp/bert/data_preprocessing/create_datasets_from_start.sh"
# It makes the records in one process, so there are no workers to wait for, and has no profiler.
WITHOUT_THE_DEFECT = ("bertprep-workers", "profile-by-rank")
STANDIN_PATHS = [
    path
    for path in paths_in(SERIES, "1.13.0")
    if any(patch.id not in WITHOUT_THE_DEFECT for patch, _ in SERIES.targets_at(path, "1.13.0"))
]


@pytest.mark.parametrize("path", STANDIN_PATHS)
def test_the_stand_in_is_as_the_diffs_know_it(path: str) -> None:
    blob = blob_id((STANDIN / path).read_bytes())
    known = any(blob in target.images for p in SERIES.patches for target in p.targets
                if target.path == path)  # fmt: skip
    assert known, (
        f"standin/{path} has changed (it is {blob[:12]} now), and no diff is made for it; "
        "make them with: bertkit patches refresh --onto standin"
    )


@pytest.mark.parametrize(
    ("patch", "path"),
    [
        (patch, target.path)
        for patch in WITHOUT_THE_DEFECT
        for target in SERIES[patch].targets
        if "1.13.0" in target.releases
    ],
)
def test_a_file_of_the_stand_in_without_the_defect_is_known(patch: str, path: str) -> None:
    blob = blob_id((STANDIN / path).read_bytes())
    (target,) = [target for target in SERIES[patch].targets if target.path == path]
    assert blob in target.upstreamed, (
        f"standin/{path} has changed: its blob under upstreamed in patches/{patch}/patch.yaml "
        f"is {blob} now"
    )


@pytest.fixture
def standin(tmp_path: Path) -> Path:
    tree = tmp_path / "standin"
    shutil.copytree(STANDIN, tree)
    write_lock(tree, Lock(url="standin", release="1.13.0", commit="0" * 40))
    return tree


def test_the_whole_series_goes_into_the_stand_in_and_out_again(standin: Path) -> None:
    before = {path: (standin / path).read_bytes() for path in STANDIN_PATHS}
    modes = {path: (standin / path).stat().st_mode for path in STANDIN_PATHS}
    apply_series(standin, "1.13.0", SERIES)
    assert {patch.id: patch.state for patch in states(standin, "1.13.0", SERIES)} == {
        patch.id: "upstreamed" if patch.id in WITHOUT_THE_DEFECT else "applied"
        for patch in SERIES.patches
    }
    assert all((standin / path).read_bytes() != before[path] for path in STANDIN_PATHS)
    assert {path: (standin / path).stat().st_mode for path in STANDIN_PATHS} == modes
    unapply_series(standin, SERIES)
    assert {path: (standin / path).read_bytes() for path in STANDIN_PATHS} == before


@pytest.mark.parametrize(
    "only", [patch.id for patch in SERIES.patches if patch.id not in WITHOUT_THE_DEFECT]
)
def test_each_patch_can_be_had_alone(standin: Path, only: str) -> None:
    (carried,) = apply_series(standin, "1.13.0", SERIES, only=[only])
    assert carried.id == only
    for changed in carried.files:
        file = standin / changed.path
        if file.suffix == ".py":
            compile(file.read_text(encoding="utf-8"), changed.path, "exec")
        else:
            subprocess.run(["bash", "-n", str(file)], check=True)


@pytest.mark.parametrize(
    ("arguments", "variable", "expected"),
    [
        (["wiki_only", "/from/argument"], "/from/environment", "/from/argument"),
        (["wiki_only"], "/from/environment", "/from/environment"),
        (["wiki_only"], None, "/data/tensorflow/bert/books_wiki_en_corpus"),
        (["wiki_only"], "/with a space", "/with a space"),
        (["wiki_only"], "", "/data/tensorflow/bert/books_wiki_en_corpus"),
    ],
)
def test_the_data_directory_comes_from_the_argument_then_the_environment(
    standin: Path, arguments: List[str], variable: str | None, expected: str
) -> None:
    apply_series(standin, "1.13.0", SERIES)
    script = standin / SCRIPT
    # In place of Python, a program that shows what it would get.
    shown = standin / "show"
    shown.write_text('#!/bin/sh\nprintf "%s\\n" "$BERT_PREP_WORKING_DIR"\n')
    shown.chmod(0o755)
    environment = {"PATH": "/usr/bin:/bin", "PYTHON": str(shown)}
    if variable is not None:
        environment["BERT_PREP_WORKING_DIR"] = variable
    result = subprocess.run(
        ["bash", str(script), *arguments], env=environment, cwd=script.parent,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert result.stdout.splitlines()[1] == expected

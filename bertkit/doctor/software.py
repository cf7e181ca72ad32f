"""The software: the ranks' Python and its packages, mpirun, git."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Iterable, List, Mapping, Optional, Tuple

from bertkit.doctor.findings import Finding
from bertkit.errors import BertkitError, EnvironmentUnfit
from bertkit.launch import mpi
from bertkit.launch.nodes import modules
from bertkit.launch.nodes.facts import Facts
from bertkit.launch.preflight import ALWAYS
from bertkit.launch.recipes.recipe import Recipe
from bertkit.synapse import look
from bertkit.upstream import catalogue
from bertkit.upstream.lock import Lock

#: imported by upstream's data scripts only, and in none of its requirements
_FOR_DATA = ("h5py", "six")
_GIT_OLDEST = (2, 25)  # sparse checkouts without blobs


def modules_of(recipes: Iterable[Recipe], release: Optional[str]) -> Tuple[str, ...]:
    """The modules that jobs of *release*, else of any, import, and those of upstream's data."""
    wanted = {name for recipe in recipes for name in recipe.modules}
    names = (*ALWAYS, *sorted(wanted), "horovod", *_FOR_DATA)
    return names if release is None else modules.needed_by(release, names)


def findings(
    facts: Facts,
    device: str,
    python: Path,
    lock: Optional[Lock],
    environ: Mapping[str, str],
) -> List[Finding]:
    """What is installed, for runs on *device* of the checkout of *lock*, if there is one."""
    return [
        _libraries(facts, device, lock, environ),
        Finding("Python of the ranks", f"{facts.python}, {python}", True),
        _tensorflow(facts, python, lock),
        *_modules(facts, python),
        _horovod(facts, device, python),
        _mpirun(facts, device, python, environ),
        _git(environ),
    ]


def _libraries(
    facts: Facts, device: str, lock: Optional[Lock], environ: Mapping[str, str]
) -> Finding:
    what = "Habana's libraries"
    version = facts.version("habana-tensorflow")
    if version is None:
        if device == "cpu":
            return Finding(what, "none: not needed for a CPU run")
        other = look(environment=environ)
        known = "none that pip knows of"
        if other is not None and other.userspace is not None:
            known = f"{other.userspace}, but no habana-tensorflow in the ranks' Python"
        return Finding(what, known, False, "use the Gaudi image with TensorFlow")
    for error in modules.habana_problems(facts, "", lock.release if lock else None):
        if device == "hpu":
            return Finding.of(what, error)
    return Finding(what, f"habana-tensorflow {version}", True)


def _tensorflow(facts: Facts, python: Path, lock: Optional[Lock]) -> Finding:
    wanted: Tuple[str, ...] = ()
    if lock is not None:
        try:
            wanted = catalogue.find(lock.release).tensorflow
        except BertkitError:
            wanted = ()  # the checkout's line says what is wrong with it
    release = lock.release if lock else None
    for error in modules.tensorflow_problems(facts, str(python), release, wanted):
        return Finding.of("TensorFlow", error)
    fits = f", fits {release}" if wanted else ""
    return Finding("TensorFlow", f"{facts.tensorflow}{fits}", True)


def _modules(facts: Facts, python: Path) -> List[Finding]:
    apart = {"tensorflow", "horovod", *_FOR_DATA}
    lacking = [name for name in facts.missing or () if name not in apart]
    rows = [
        Finding(
            "Python modules",
            f"{name} is missing",
            False,
            modules.what_installs(name, str(python)),
        )
        for name in lacking
    ]
    if not lacking:
        versions = [f"{name} {facts.version(name)}" for name in ("numpy", "scipy", "tensorboard")
                    if facts.version(name)]  # fmt: skip
        rows.append(Finding("Python modules", ", ".join(versions) or "all are there", True))
    data = [name for name in _FOR_DATA if name in (facts.missing or ())]
    if data:
        rows.append(
            Finding(
                "modules for upstream's data scripts",
                f"{', '.join(data)} missing; `bertkit data` needs none of them",
                None,
                f"{python} -m pip install {' '.join(data)}",
            )
        )
    return rows


def _horovod(facts: Facts, device: str, python: Path) -> Finding:
    version = facts.version("horovod", "habana-horovod")
    if version is None and "horovod" in (facts.missing or ()):
        advice = modules.what_installs("horovod", str(python))
        return Finding("Horovod", "none: one card only", _needed(facts, device), advice)
    for error in modules.horovod_problems(facts, str(python)):
        return Finding.of("Horovod", error)
    built = f", built with TensorFlow {facts.horovod_built_for}" if facts.horovod_built_for else ""
    return Finding("Horovod", f"{version or 'of unknown version'}{built}", True)


def _mpirun(facts: Facts, device: str, python: Path, environ: Mapping[str, str]) -> Finding:
    try:
        found = mpi.find(environ, python)
    except EnvironmentUnfit as error:
        row = Finding.of("mpirun", error)
        return Finding(row.what, f"{row.found}: one card only", _needed(facts, device), row.do)
    return Finding("mpirun", f"Open MPI {'.'.join(map(str, found.version))}, {found.path}", True)


def _needed(facts: Facts, device: str) -> Optional[bool]:
    """What the lack of something that only several cards need is worth here."""
    return False if device == "hpu" and len(facts.devices or ()) > 1 else None


def _git(environ: Mapping[str, str]) -> Finding:
    from bertkit.synapse.programs import ask

    program = shutil.which("git", path=environ.get("PATH"))
    if program is None:
        return Finding("git", "none", False, "apt-get install git")
    try:
        said = ask([program, "--version"], environ, seconds=10).strip()
    except OSError as error:
        return Finding("git", f"{program} does not run: {error}", False, "apt-get install git")
    numbers = tuple(int(part) for part in said.split()[-1].split(".")[:2] if part.isdigit())
    fit = numbers >= _GIT_OLDEST
    return Finding("git", said, fit, None if fit else "a newer git fetches far less: 2.25 or newer")

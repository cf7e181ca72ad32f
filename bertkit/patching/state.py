"""The six states of a patch in a tree, decided by hashes only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Optional, Tuple

from bertkit.blobs import blob_id
from bertkit.errors import PatchMisfit
from bertkit.patching.chain import (
    APPLICABLE,
    APPLIED,
    DRIFTED,
    MISSING_TARGET,
    UNSUPPORTED_RELEASE,
    UPSTREAMED,
    walk,
)
from bertkit.patching.model import Series
from bertkit.patching.paths import locate
from bertkit.patching.releases import parse_release

# What a patch is when its files differ: the first of these that any of them has.
_WORST_FIRST = (DRIFTED, MISSING_TARGET, APPLICABLE, APPLIED, UPSTREAMED)


@dataclass(frozen=True)
class FileState:
    """One file of one patch: its state, its blob id (None if missing) and a note."""

    path: str
    state: str
    blob: Optional[str]
    note: str = ""


@dataclass(frozen=True)
class PatchState:
    """One patch in one tree; without files if the patch has nothing to do in that release."""

    id: str
    state: str
    files: Tuple[FileState, ...]


def states(tree: Path, release: str, series: Series) -> Tuple[PatchState, ...]:
    """The state of each patch of *series*, and of each of its files, in *tree*.

    Args:
        tree: the top of a checkout.
        release: what the tree is, ``N.N.N``; a cross-check, the contents decide.
        series: the patches.

    Raises:
        PatchMisfit: *release* is not of that form.
    """
    check_release(release)
    blobs: Dict[str, Optional[str]] = {}
    notes: Dict[str, str] = {}
    for path in paths_in(series, release):
        try:
            blobs[path] = blob_id(locate(tree, path).read_bytes())
        except FileNotFoundError:
            blobs[path] = None
        except (ValueError, OSError) as error:
            blobs[path] = None
            notes[path] = str(error)
    return states_of_blobs(blobs, release, series, notes)


def states_of_blobs(
    blobs: Dict[str, Optional[str]],
    release: str,
    series: Series,
    notes: Optional[Dict[str, str]] = None,
) -> Tuple[PatchState, ...]:
    """Like :func:`states` for contents that are known by their blob ids only."""
    every = {patch.id for patch in series.patches}
    found: Dict[str, List[FileState]] = {name: [] for name in every}
    for path in paths_in(series, release):
        blob = blobs.get(path)
        if blob is None:
            note = (notes or {}).get(path, "")
            for patch, _ in series.targets_at(path, release):
                found[patch.id].append(FileState(path, MISSING_TARGET, None, note))
            continue
        for outcome in walk(series, release, path, blob, every):
            found[outcome.patch.id].append(FileState(path, outcome.state, blob, outcome.note))
    return tuple(
        PatchState(patch.id, _overall(found[patch.id]), tuple(found[patch.id]))
        for patch in series.patches
    )


def paths_in(series: Series, release: str) -> List[str]:
    """Every file that the series changes in *release*, each once, in the order of the series."""
    paths: Dict[str, None] = {}
    for patch in series.patches:
        for target in patch.targets_in(release):
            paths[target.path] = None
    return list(paths)


def check_release(release: str) -> None:
    """Refuse anything that is not ``N.N.N``.

    Raises:
        PatchMisfit: it is not.
    """
    try:
        parse_release(release)
    except ValueError as error:
        raise PatchMisfit(str(error), next_step="name a release such as 1.13.0") from None


def _overall(files: List[FileState]) -> str:
    present = {file.state for file in files}
    return next((state for state in _WORST_FIRST if state in present), UNSUPPORTED_RELEASE)

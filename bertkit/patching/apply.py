"""Applies a series to a tree: wholly or not at all.

Everything is worked out in memory first, every result is compared with its recorded blob id, and
all that stands in the way is collected; only then is anything written, through the journal.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import AbstractSet, Dict, List, Optional, Sequence, Tuple

from bertkit.blobs import blob_id
from bertkit.patching import journal
from bertkit.patching.chain import APPLICABLE, DRIFTED, Step, history, walk
from bertkit.patching.conflicts import Conflict, PatchConflict
from bertkit.patching.model import Series
from bertkit.patching.paths import locate
from bertkit.patching.refusals import count, drifted, edit_of, missing
from bertkit.patching.state import check_release, paths_in
from bertkit.upstream.lock import AppliedPatch, Lock, PatchedFile, lock_path, lock_text, read_lock


@dataclass
class _Worked:
    """What an operation comes to, before anything is written."""

    changes: List[journal.Change]
    conflicts: List[Conflict]
    carried: Dict[str, List[Step]]


def apply_series(
    tree: Path,
    release: str,
    series: Series,
    *,
    only: Optional[Sequence[str]] = None,
    dry_run: bool = False,
) -> Tuple[AppliedPatch, ...]:
    """Make *tree* carry the patches of *series*, or those named in *only*.

    Patches that are there already are left as they are, so a second call changes nothing. If the
    tree has a lock, it is brought up to date as the last step.

    Args:
        tree: the top of a checkout.
        release: what it is, ``N.N.N``.
        series: the patches.
        only: ids of those to apply; the others stay as they are.
        dry_run: work everything out and check it, but write nothing.

    Returns:
        Every patch that the tree carries afterwards, in the order of the series.

    Raises:
        PatchMisfit: something does not fit; names all of it, and nothing was written.
        UsageProblem: *only* names a patch that is not in the series.
    """
    check_release(release)
    selected = {patch.id for patch in series.select(only)}
    if dry_run:
        journal.recover(tree)
        return _apply(tree, release, series, selected, dry_run=True)
    with journal.session(tree, purpose="patches apply"):
        return _apply(tree, release, series, selected, dry_run=False)


def diff_series(
    tree: Path, release: str, series: Series, *, only: Optional[Sequence[str]] = None
) -> str:
    """The diffs that *tree* carries or that ``apply`` would apply, one after another.

    Raises:
        PatchMisfit: a diff is damaged. Files that no diff fits are left out; see ``states``.
    """
    check_release(release)
    selected = {patch.id for patch in series.select(only)}
    pieces = []
    for path in paths_in(series, release):
        try:
            blob = blob_id(locate(tree, path).read_bytes())
        except (OSError, ValueError):
            continue
        for outcome in walk(series, release, path, blob, selected):
            if outcome.step is not None:
                outcome.step.image.read(path)
                pieces.append((series.position(outcome.patch.id), outcome.step.image.diff))
    pieces.sort(key=lambda piece: piece[0])
    return "".join(diff.read_bytes().decode("utf-8", "replace") for _, diff in pieces)


def _apply(
    tree: Path, release: str, series: Series, selected: AbstractSet[str], *, dry_run: bool
) -> Tuple[AppliedPatch, ...]:
    lock = read_lock(tree) if lock_path(tree).exists() else None
    worked = _Worked([], [], {})
    for path in paths_in(series, release):
        _work_out(tree, release, series, path, selected, lock, worked)
    if worked.conflicts:
        worked.conflicts.sort(key=lambda each: series.position(each.patch))
        raise PatchConflict(
            f"{count(worked.conflicts)} of the series cannot be applied; nothing was changed",
            worked.conflicts,
            where=tree,
        )
    carried = _carried(series, worked.carried, lock, tree)
    if not dry_run:
        new_lock = None
        if lock is not None and lock.patches != carried:
            new_lock = lock_text(replace(lock, patches=carried))
        if worked.changes or new_lock is not None:
            journal.commit(tree, worked.changes, new_lock)
    return carried


def _work_out(
    tree: Path,
    release: str,
    series: Series,
    path: str,
    selected: AbstractSet[str],
    lock: Optional[Lock],
    worked: _Worked,
) -> None:
    """Add to *worked* what applying *selected* means for the one file *path*."""
    wanted = [patch for patch, _ in series.targets_at(path, release) if patch.id in selected]
    try:
        before = locate(tree, path).read_bytes()
    except (OSError, ValueError) as error:
        note = "there is no such file" if isinstance(error, FileNotFoundError) else str(error)
        worked.conflicts += [missing(patch, path, release, tree, note) for patch in wanted]
        return
    blob = blob_id(before)
    steps = list(history(series, path, blob))
    content = before
    failed = []
    for outcome in walk(series, release, path, blob, selected):
        if outcome.state == APPLICABLE and outcome.step is not None:
            content = outcome.step.image.read(path).apply(content)
            steps.append(outcome.step)
        elif outcome.state == DRIFTED:
            failed.append(outcome)
    if failed:
        edit = edit_of(tree, path, release, before, series, lock)
        worked.conflicts += [
            drifted(outcome, path, release, tree, before, edit, series, lock) for outcome in failed
        ]
    for step in steps:
        worked.carried.setdefault(step.patch.id, []).append(step)
    if content != before:
        worked.changes.append(journal.Change(path, blob, blob_id(content), content))


def _carried(
    series: Series, steps: Dict[str, List[Step]], lock: Optional[Lock], tree: Path
) -> Tuple[AppliedPatch, ...]:
    found = [
        AppliedPatch(
            id=patch.id,
            diffs=tuple(step.image.sha256 for step in steps[patch.id]),
            files=tuple(
                PatchedFile(step.target.path, step.image.pre, step.image.post)
                for step in steps[patch.id]
            ),
        )
        for patch in series.patches
        if patch.id in steps
    ]
    if lock is not None:
        # What an older series applied is still in the tree, though this one cannot see it.
        known = {(patch.id, file.path) for patch in found for file in patch.files}
        for old in lock.patches:
            if any((old.id, file.path) not in known for file in old.files) and all(
                _is(tree, file.path, lock.expected_files()[file.path]) for file in old.files
            ):
                found = [patch for patch in found if patch.id != old.id] + [old]
    return tuple(sorted(found, key=lambda patch: series.position(patch.id)))


def _is(tree: Path, path: str, blob: str) -> bool:
    try:
        return blob_id(locate(tree, path).read_bytes()) == blob
    except (OSError, ValueError):
        return False

"""Turns what stands in the way of a patch into a report with a reason and a next command."""

from __future__ import annotations

from pathlib import Path
from typing import List, Optional, Sequence, Tuple

from bertkit.blobs import blob_id
from bertkit.patching.chain import (
    APPLICABLE,
    APPLIED,
    DRIFTED,
    MISSING_TARGET,
    Outcome,
    history,
    walk,
)
from bertkit.patching.conflicts import (
    Conflict,
    HunkReport,
    edit_between,
    hold_against,
    nearest_diff,
)
from bertkit.patching.diffs import Diff
from bertkit.patching.model import Patch, Series
from bertkit.patching.originals import git_blob, head_blob
from bertkit.upstream import catalogue
from bertkit.upstream.lock import Lock


def missing(patch: Patch, path: str, release: str, tree: Path, note: str) -> Conflict:
    """A file to be patched is not there, or is a link."""
    return Conflict(
        patch.id,
        path,
        MISSING_TARGET,
        release,
        str(patch.releases),
        note,
        next_step=f"bring it back: git -C {tree} checkout -- {path}",
    )


def drifted(
    outcome: Outcome,
    path: str,
    release: str,
    tree: Path,
    content: bytes,
    edit: str,
    series: Series,
    lock: Optional[Lock],
) -> Conflict:
    """A file to be patched has a content that no diff is made for."""
    if outcome.note:
        return Conflict(
            outcome.patch.id,
            path,
            DRIFTED,
            release,
            "",
            outcome.note,
            next_step=f"bertkit patches status --repo {tree}",
        )
    made_for = ""
    hunks: Tuple[HunkReport, ...] = ()
    nearest = _nearest(outcome, path, release, tree, content, series)
    if nearest is not None:
        made_for, hunks = nearest[0], hold_against(nearest[1], content)
    blob = blob_id(content)
    restore = f"git -C {tree} checkout -- {path}"
    if lock is not None and lock.expected_files().get(path) == blob:
        reason = "it carries an older form of the patches"
        next_step = f"bertkit patches unapply --repo {tree}, then apply again"
    elif edit:
        reason = f"it was edited by hand (blob {blob[:12]})"
        next_step = f"save your edit, restore the file ({restore}), and apply again"
    elif hunks and all(hunk.already for hunk in hunks):
        reason = f"upstream seems to have the change already (blob {blob[:12]} is not known)"
        next_step = f"bertkit patches refresh --onto {release}"
    else:
        reason = f"blob {blob[:12]} is not known to the patch"
        next_step = f"bertkit patches refresh --onto {release}, or leave {outcome.patch.id} out"
    return Conflict(
        outcome.patch.id, path, DRIFTED, release, made_for, reason, hunks, edit, next_step
    )


def missing_lock(names: str, path: str, lock: Lock, tree: Path, note: str) -> Conflict:
    """A patched file is gone, so the patch cannot be taken out of it."""
    next_step = f"bring it back: git -C {tree} checkout -- {path}; then bertkit patches apply"
    return Conflict(names, path, MISSING_TARGET, lock.release, "", note, next_step=next_step)


def edited(names: str, path: str, lock: Lock, tree: Path, edit: str) -> Conflict:
    """A patched file was edited since; undoing would lose the edit."""
    return Conflict(
        names,
        path,
        DRIFTED,
        lock.release,
        "",
        "it was edited after it was patched, and would be overwritten",
        edit=edit,
        next_step=f"save your edit, git -C {tree} checkout -- {path}, then "
        f"bertkit patches apply --repo {tree} and unapply again",
    )


def stuck(names: str, path: str, lock: Lock, tree: Path, reason: str) -> Conflict:
    """A file is as it should be, but the way back is not known."""
    return Conflict(
        names,
        path,
        APPLIED,
        lock.release,
        "",
        reason,
        next_step=f"bertkit patches unapply --repo {tree}",
    )


def edit_of(
    tree: Path, path: str, release: str, actual: bytes, series: Series, lock: Optional[Lock]
) -> str:
    """What was changed by hand in *path*, as far as git and the lock can tell; else empty.

    The edit is told from the content that the lock names; without one, from upstream's content
    or that with patches, whichever is nearest.
    """
    locked = lock.expected_files().get(path) if lock is not None else None
    contents = _known_contents(tree, path, release, series, lock)
    if locked is not None:
        contents = [content for content in contents if blob_id(content) == locked]
    if any(content == actual for content in contents):
        return ""
    return min((edit_between(content, actual, path) for content in contents), key=len, default="")


def _known_contents(
    tree: Path, path: str, release: str, series: Series, lock: Optional[Lock]
) -> List[bytes]:
    """Upstream's own content of *path* as git has it, and what each patch makes of it in turn."""
    files = [f for p in lock.patches for f in p.files if f.path == path] if lock else []
    base = files[0].pre if files else origin_of(tree, path, release)
    content = None if base is None else git_blob(tree, base)
    if base is None or content is None:
        return []
    if files:
        steps = list(history(series, path, files[-1].post))
    else:
        every = {patch.id for patch in series.patches}
        outcomes = walk(series, release, path, base, every)
        steps = [o.step for o in outcomes if o.state == APPLICABLE and o.step is not None]
    contents = [content]
    for step in steps:
        content = step.image.read(path).apply(content)
        contents.append(content)
    return contents


def origin_of(tree: Path, path: str, release: str) -> Optional[str]:
    """The blob id that upstream gave *path*: in the commit checked out, or by the catalogue."""
    known = catalogue.load().get(release)
    return head_blob(tree, path) or (known.files.get(path) if known is not None else None)


def _nearest(
    outcome: Outcome, path: str, release: str, tree: Path, content: bytes, series: Series
) -> Optional[Tuple[str, Diff]]:
    """The diff made for this very release if there is one, else the one that comes closest."""
    base = origin_of(tree, path, release)
    if base is not None:
        for step in walk(series, release, path, base, {p.id for p in series.patches}):
            if step.patch.id == outcome.patch.id and step.step is not None:
                return step.step.image.seen_in, step.step.image.read(path)
    return nearest_diff(outcome.target, content)


def count(conflicts: Sequence[Conflict]) -> str:
    """How many patches the conflicts are about, in words."""
    number = len({conflict.patch for conflict in conflicts})
    return "1 patch" if number == 1 else f"{number} patches"

"""Turns what stands in the way of a patch into a report with a reason and a next command."""

from __future__ import annotations

from pathlib import Path
from typing import Optional, Sequence, Tuple

from bertkit.blobs import blob_id
from bertkit.patching.chain import APPLIED, DRIFTED, MISSING_TARGET, Outcome, history
from bertkit.patching.conflicts import (
    Conflict,
    HunkReport,
    edit_between,
    hold_against,
    nearest_diff,
)
from bertkit.patching.model import Patch, Series
from bertkit.patching.originals import git_blob, head_blob
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
    nearest = nearest_diff(outcome.target, content)
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


def edit_of(tree: Path, path: str, actual: bytes, series: Series, lock: Optional[Lock]) -> str:
    """What was changed by hand in *path*, as far as git and the lock can tell; else empty."""
    chain = [f for p in lock.patches for f in p.files if f.path == path] if lock else []
    base = chain[0].pre if chain else head_blob(tree, path)
    if base is None or base == blob_id(actual):
        return ""
    expected = git_blob(tree, base)
    if expected is None:
        return ""
    for step in history(series, path, chain[-1].post) if chain else ():
        expected = step.image.read(path).apply(expected)
    return edit_between(expected, actual, path)


def count(conflicts: Sequence[Conflict]) -> str:
    """How many patches the conflicts are about, in words."""
    number = len({conflict.patch for conflict in conflicts})
    return "1 patch" if number == 1 else f"{number} patches"

"""Takes patches out of a tree again: wholly or not at all, and never over a hand edit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import List, Optional, Sequence, Tuple

from bertkit.blobs import blob_id
from bertkit.patching import journal
from bertkit.patching.chain import history
from bertkit.patching.conflicts import Conflict, PatchConflict
from bertkit.patching.model import Series
from bertkit.patching.originals import git_blob
from bertkit.patching.paths import locate
from bertkit.patching.refusals import count, edit_of, edited, missing_lock, stuck
from bertkit.upstream.lock import AppliedPatch, PatchedFile, lock_text, read_lock


def unapply_series(
    tree: Path,
    series: Series,
    *,
    only: Optional[Sequence[str]] = None,
    dry_run: bool = False,
) -> Tuple[AppliedPatch, ...]:
    """Take patches out of *tree* again, where it is exactly what its lock says.

    Args:
        tree: the top of a prepared checkout.
        series: the patches; where it has changed since they were applied, git's own objects
            supply the contents of before.
        only: ids of those to undo; all that the lock lists if None.
        dry_run: work everything out and check it, but write nothing.

    Returns:
        The patches that were undone, in the order of the series.

    Raises:
        EnvironmentUnfit: the tree has no lock.
        PatchMisfit: a file was edited by hand, or what stays depends on what goes; names all of
            it, and nothing was written.
        UsageProblem: *only* names a patch that neither the lock nor the series knows.
    """
    if dry_run:
        journal.recover(tree)
        return _unapply(tree, series, only, dry_run=True)
    read_lock(tree)  # before a directory is made for the session
    with journal.session(tree, purpose="patches unapply"):
        return _unapply(tree, series, only, dry_run=False)


def _unapply(
    tree: Path, series: Series, only: Optional[Sequence[str]], *, dry_run: bool
) -> Tuple[AppliedPatch, ...]:
    lock = read_lock(tree)
    carried = {patch.id for patch in lock.patches}
    if only is not None:
        series.select([name for name in only if name not in carried])
    going = carried if only is None else carried & set(only)
    undone = tuple(patch for patch in lock.patches if patch.id in going)
    staying = {patch.id: patch for patch in lock.patches if patch.id not in going}
    changes: List[journal.Change] = []
    conflicts: List[Conflict] = []
    for path in dict.fromkeys(file.path for patch in undone for file in patch.files):
        chain = [(p.id, f) for p in lock.patches for f in p.files if f.path == path]
        first = next(at for at, (name, _) in enumerate(chain) if name in going)
        names = ", ".join(name for name, _ in chain if name in going)
        expected = chain[-1][1].post
        try:
            before = locate(tree, path).read_bytes()
        except (OSError, ValueError) as error:
            conflicts.append(missing_lock(names, path, lock, tree, str(error)))
            continue
        if blob_id(before) != expected:
            edit = edit_of(tree, path, lock.release, before, series, lock)
            conflicts.append(edited(names, path, lock, tree, edit))
            continue
        content = _back_to(tree, series, path, before, [file for _, file in chain[first:]])
        stays = [name for name, _ in chain[first:] if name not in going]
        again = None if content is None else _forward(series, path, content, stays)
        if content is None or again is None:
            reason = (
                "the content of before is neither in the series nor in git's objects"
                if content is None
                else f"{', '.join(stays)} stays, but is made to follow it: undo it as well"
            )
            conflicts.append(stuck(names, path, lock, tree, reason))
            continue
        content, files = again
        for name, file in files:
            old = staying[name]
            staying[name] = replace(
                old, files=tuple(file if each.path == path else each for each in old.files)
            )
        changes.append(journal.Change(path, expected, blob_id(content), content))
    if conflicts:
        raise PatchConflict(
            f"{count(conflicts)} cannot be undone; nothing was changed", conflicts, where=tree
        )
    if undone and not dry_run:
        new_lock = replace(lock, patches=tuple(staying.values()))
        journal.commit(tree, changes, lock_text(new_lock))
    return undone


def _back_to(
    tree: Path, series: Series, path: str, content: bytes, files: Sequence[PatchedFile]
) -> Optional[bytes]:
    """The content before the first of *files*, from the series' diffs or else from git."""
    steps = {step.image.post: step for step in history(series, path, files[-1].post)}
    for file in reversed(files):
        step = steps.get(file.post)
        if step is None or step.image.pre != file.pre:
            return git_blob(tree, files[0].pre)
        content = step.image.read(path).unapply(content)
    return content


def _forward(
    series: Series, path: str, content: bytes, names: Sequence[str]
) -> Optional[Tuple[bytes, List[Tuple[str, PatchedFile]]]]:
    """Apply the patches *names* again on the way back; None where no diff is pinned for that."""
    files = []
    for name in names:
        blob = blob_id(content)
        targets = series.select([name])[0].targets if series.knows(name) else ()
        image = next((t.images.get(blob) for t in targets if t.path == path), None)
        if image is None:
            return None
        content = image.read(path).apply(content)
        files.append((name, PatchedFile(path, image.pre, image.post)))
    return content, files

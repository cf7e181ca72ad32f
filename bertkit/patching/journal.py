"""Changes several files of a tree at once, so that a kill at any moment leaves no half.

Under ``TREE/.bertkit/journal/`` first every new content is written out and flushed, then
``plan.json`` appears by a rename. That rename decides: before it, nothing in the tree has
changed and recovery throws the journal away; after it, recovery finishes the change (roll
forward). Finishing moves each prepared file over its target by a rename, so a target is always
the old content or the new one; the lock of the checkout is moved last. Then the plan goes first
and the rest of the journal after it.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterator, Optional, Sequence

from bertkit.blobs import blob_id
from bertkit.errors import EnvironmentUnfit, PatchMisfit
from bertkit.files import exclusive, sync_directory, write_json
from bertkit.patching.paths import locate
from bertkit.upstream.lock import STATE_DIRECTORY, lock_path

SCHEMA = 1
_BLOB = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Change:
    """One file's new content; *before* and *after* are blob ids."""

    path: str
    before: str
    after: str
    content: bytes


@contextlib.contextmanager
def session(tree: Path, *, purpose: str) -> Iterator[None]:
    """Be the only one who changes *tree*, after an interrupted change has been repaired.

    Raises:
        PatchMisfit: the tree's own ``.bertkit`` is a link, or the repair is not possible.
        EnvironmentUnfit: the tree cannot be written.
    """
    with _telling_what_cannot_be_written(tree):
        _check_state_directory(tree)
        with exclusive(tree / STATE_DIRECTORY / "patching.lock", purpose=f"{purpose} in {tree}"):
            _recover(tree)
            yield


def recover(tree: Path) -> bool:
    """Repair an interrupted change of *tree*; True if there was one.

    Costs one look at the file system where there is nothing to do, and then writes nothing.

    Raises:
        PatchMisfit: a file was edited after the interruption; it is named and left alone.
        EnvironmentUnfit: the tree cannot be written.
    """
    _check_state_directory(tree)
    if not os.path.lexists(_journal(tree)):
        return False
    lock = tree / STATE_DIRECTORY / "patching.lock"
    with _telling_what_cannot_be_written(tree), exclusive(lock, purpose=f"repair of {tree}"):
        return _recover(tree)


@contextlib.contextmanager
def _telling_what_cannot_be_written(tree: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno is None:  # not the system's: an incomplete installation, say
            raise
        raise EnvironmentUnfit(
            "the checkout cannot be written",
            where=error.filename or tree,
            why=error.strerror or str(error),
            next_step="mend the permissions or free some space, or prepare a checkout of your own: "
            "bertkit prepare-repo --dest DIR",
        ) from error


def commit(tree: Path, changes: Sequence[Change], new_lock: Optional[str]) -> None:
    """Make all *changes*, then put *new_lock* (the text of a lock, if any) in place.

    Call it within :func:`session`. Each file must still be what ``before`` says.

    Raises:
        PatchMisfit: a file is not; nothing was written to the tree.
    """
    journal = _journal(tree)
    journal.mkdir()
    try:
        for number, change in enumerate(changes):
            target = locate(tree, change.path)
            if blob_id(target.read_bytes()) != change.before:
                raise PatchMisfit(
                    f"changed while it was being patched: {change.path}",
                    where=tree,
                    next_step="nothing was written; run the same command again",
                )
            _stage(journal / f"{number}.new", change.content, target.stat())
        if new_lock is not None:
            _stage(journal / "lock.new", new_lock.encode("utf-8"), None)
        sync_directory(journal)
        sync_directory(journal.parent)
        plan = {
            "schema": SCHEMA,
            "files": [{"path": c.path, "before": c.before, "after": c.after} for c in changes],
            "lock": new_lock is not None,
        }
        write_json(journal / "plan.json", plan)
    except BaseException:
        if not (journal / "plan.json").exists():
            shutil.rmtree(journal, ignore_errors=True)
        raise
    _finish(tree, plan)


def _recover(tree: Path) -> bool:
    journal = _journal(tree)
    if not os.path.lexists(journal):
        return False
    if journal.is_symlink() or not journal.is_dir():
        raise _unusable(journal, "it is not a directory")
    plan = journal / "plan.json"
    if os.path.lexists(plan):
        _finish(tree, _read_plan(plan))
    else:
        shutil.rmtree(journal)
    return True


def _finish(tree: Path, plan: Dict[str, Any]) -> None:
    """Roll forward: safe to do again from wherever it stopped."""
    journal = _journal(tree)
    targets = []
    for number, entry in enumerate(plan["files"]):
        target, staged = _located(tree, entry["path"]), journal / f"{number}.new"
        actual = blob_id(target.read_bytes())
        if actual == entry["after"]:
            continue
        if actual != entry["before"]:
            raise PatchMisfit(
                f"an interrupted change cannot be finished: {entry['path']} was edited since",
                where=tree,
                why=f"it is {actual[:12]}; it was {entry['before'][:12]} "
                f"and is to become {entry['after'][:12]}",
                next_step=f"put your edit aside, `git -C {tree} checkout -- {entry['path']}`, "
                "and run the command again",
            )
        if staged.is_symlink() or blob_id(staged.read_bytes()) != entry["after"]:
            raise _unusable(staged, "it is not the content that the plan names")
        targets.append((staged, target))
    # Only now, when every file has been looked at, is the first one replaced.
    for staged, target in targets:
        staged.replace(target)
    for directory in sorted({target.parent for _, target in targets}):
        sync_directory(directory)
    new_lock = journal / "lock.new"
    if plan["lock"] and new_lock.exists():
        new_lock.replace(lock_path(tree))
        sync_directory(lock_path(tree).parent)
    (journal / "plan.json").unlink()
    sync_directory(journal)
    shutil.rmtree(journal)


def _located(tree: Path, path: str) -> Path:
    try:
        return locate(tree, path)
    except (ValueError, OSError) as error:
        raise PatchMisfit(
            f"an interrupted change cannot be finished: {path}",
            where=tree,
            why=str(error),
            next_step=f"`git -C {tree} checkout -- {path}` and run the command again",
        ) from None


def _read_plan(path: Path) -> Dict[str, Any]:
    try:
        if path.is_symlink():
            raise ValueError("it is a symbolic link")
        plan = json.loads(path.read_text(encoding="utf-8"))
        if plan["schema"] != SCHEMA or not isinstance(plan["lock"], bool):
            raise ValueError("not a plan of this bertkit")
        for entry in plan["files"]:
            if not isinstance(entry["path"], str):
                raise ValueError("a path is no text")
            if not (_BLOB.fullmatch(entry["before"]) and _BLOB.fullmatch(entry["after"])):
                raise ValueError("a blob id is none")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _unusable(path, str(error)) from None
    checked: Dict[str, Any] = plan
    return checked


def _stage(path: Path, content: bytes, like: Optional[os.stat_result]) -> None:
    """Write *content* through to the disk, with the mode and the owner of *like*."""
    with path.open("xb") as stream:
        stream.write(content)
        stream.flush()
        if like is not None:
            # Only root may give a file to someone else; anyone else keeps what he makes.
            with contextlib.suppress(PermissionError):
                os.fchown(stream.fileno(), like.st_uid, like.st_gid)
            os.fchmod(stream.fileno(), stat.S_IMODE(like.st_mode))
        os.fsync(stream.fileno())


def _journal(tree: Path) -> Path:
    return tree / STATE_DIRECTORY / "journal"


def _check_state_directory(tree: Path) -> None:
    directory = tree / STATE_DIRECTORY
    if directory.is_symlink() or (directory.exists() and not directory.is_dir()):
        raise _unusable(directory, "it is not a directory of this tree")
    # Taking the lock writes into it, so it must not lead elsewhere.
    if (directory / "patching.lock").is_symlink():
        raise _unusable(directory / "patching.lock", "it is a symbolic link")


def _unusable(path: Path, why: str) -> PatchMisfit:
    return PatchMisfit(
        "the journal of an interrupted change cannot be used",
        where=path,
        why=why,
        next_step="prepare a fresh checkout: bertkit prepare-repo --dest NEW_DIRECTORY",
    )

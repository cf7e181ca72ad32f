"""From nothing to a patched checkout: detect the release, fetch it, patch it, record it.

A destination gets its name only when it is complete, so whatever kills this, the next run starts
from nothing or from a whole checkout. Runs on one destination take turns. When there is nothing to
do, neither git nor the patches are looked at beyond their hashes: that takes milliseconds.
"""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import shlex
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

from bertkit import __version__
from bertkit.errors import BertkitError, EnvironmentUnfit, PatchMisfit, UsageProblem
from bertkit.files import exclusive
from bertkit.resources import shipped
from bertkit.synapse import Detection, look, not_found
from bertkit.upstream.catalogue import Release, find
from bertkit.upstream.lock import (
    STATE_DIRECTORY,
    Lock,
    differences,
    lock_path,
    read_lock,
    write_lock,
)
from bertkit.upstream.source import STANDIN, Source, resolve

log = logging.getLogger("bertkit")

DEFAULT_DESTINATION = "Model-References"
DESTINATION_VARIABLE = "BERTKIT_REPO"
_SERIES = "series"


@dataclass(frozen=True)
class Prepared:
    """What ``prepare`` did, or with *dry_run* would do.

    Attributes:
        destination: the checkout.
        release: the upstream release that it is.
        commit: what its HEAD is at.
        url: where it came from, or ``standin``.
        detected: how the release was chosen, with userspace and driver.
        patches: ids of the patches that the checkout carries, in their order.
        changed: whether anything was (or would be) written.
        dry_run: nothing was written.
        working_dir: what the data scripts will get as BERT_PREP_WORKING_DIR.
        notes: what the user should know, one sentence each.
    """

    destination: Path
    release: str
    commit: str
    url: str
    detected: Dict[str, Any]
    patches: Tuple[str, ...]
    changed: bool
    dry_run: bool = False
    working_dir: Optional[str] = None
    notes: Tuple[str, ...] = ()

    def as_dict(self) -> Dict[str, object]:
        """The same as a JSON object."""
        return {**self.__dict__, "destination": str(self.destination)}


@dataclass(frozen=True)
class _Wish:
    """What the user asked for, checked."""

    version: Optional[str]
    destination: Path
    source: Source
    working_dir: Optional[str]
    only: Optional[Tuple[str, ...]]
    dry_run: bool
    found: Optional[Detection]


def prepare(
    *,
    synapse_version: Optional[str] = None,
    destination: Optional[Path] = None,
    upstream: Optional[str] = None,
    working_dir: Optional[Path] = None,
    only: Optional[Sequence[str]] = None,
    dry_run: bool = False,
) -> Prepared:
    """Make *destination* a checkout of the release that fits this machine, with the patches.

    Args:
        synapse_version: the release, ``N.N.N``; default: what is detected.
        destination: default ``$BERTKIT_REPO``, else ``./Model-References``.
        upstream: URL, path or ``standin``; default as in ``bertkit.upstream.source``.
        working_dir: what the data scripts get as BERT_PREP_WORKING_DIR; recorded in the lock.
        only: ids of the patches to apply, or none at all; default: all that the release has.
        dry_run: find out and write nothing.

    Raises:
        UsageProblem: *only* names a patch that there is not.
        EnvironmentUnfit: no release is detected, or the destination is something else.
        UpstreamUnavailable: the release cannot be had.
        PatchMisfit: a patch does not fit, or the checkout is not what its lock says.
    """
    if synapse_version is not None:
        find(synapse_version)
    wish = _Wish(
        version=synapse_version,
        destination=_absolute(destination),
        source=resolve(upstream),
        working_dir=None if working_dir is None else str(working_dir.expanduser().absolute()),
        only=None if only is None else tuple(only),
        dry_run=dry_run,
        found=look(synapse_version),
    )
    if not lock_path(wish.destination).exists():
        _check_possible(wish)
    if dry_run:
        return _prepare(wish)
    done, trouble = _looked_at(wish)
    if done is not None:
        return done
    turn = wish.destination.parent / f".{wish.destination.name}.bertkit.lock"
    try:
        with exclusive(turn, purpose=f"prepare-repo into {wish.destination}"):
            return _prepare(wish)
    except OSError as error:
        if error.errno is None:  # not the system's: an incomplete installation, say
            raise
        if trouble is not None:
            raise trouble from None
        raise EnvironmentUnfit(
            "the checkout cannot be written",
            where=error.filename or wish.destination,
            why=error.strerror or str(error),
            next_step="free some space or mend the permissions, or choose another --dest",
        ) from None


def _looked_at(wish: _Wish) -> Tuple[Optional[Prepared], Optional[BertkitError]]:
    """The result if there is nothing to do, found without writing: the place may be read-only.

    Else None, and what seems to be wrong. Another run may be changing the checkout at this very
    moment, so that only counts where no turn can be had to look again.
    """
    tree = wish.destination
    if not lock_path(tree).exists() or (tree / STATE_DIRECTORY / "journal").exists():
        return None, None
    try:
        found = _existing(replace(wish, dry_run=True))
    except BertkitError as error:
        return None, error
    return (None if found.changed else replace(found, dry_run=False)), None


def _check_possible(wish: _Wish) -> None:
    """Raise what can be raised before anything is written, a lock file beside it included."""
    from bertkit.upstream.checkout import refuse_foreign

    refuse_foreign(wish.destination)
    find(_chosen(wish).release)
    _check_names(wish.only)


def _check_names(only: Optional[Sequence[str]]) -> None:
    """Raise UsageProblem where *only* names a patch that there is not."""
    if only:
        from bertkit.patching import load_series

        load_series().select(only)


def _absolute(destination: Optional[Path]) -> Path:
    if destination is None:
        destination = Path(os.environ.get(DESTINATION_VARIABLE) or DEFAULT_DESTINATION)
    found = Path(os.path.realpath(str(destination.expanduser())))
    if not found.name:
        raise UsageProblem(
            "the file system's root cannot be a checkout", where=found, next_step="--dest DIR"
        )
    return found


def _prepare(wish: _Wish) -> Prepared:
    if lock_path(wish.destination).exists():
        return _existing(wish)
    return _fresh(wish)


def _fresh(wish: _Wish) -> Prepared:
    from bertkit.upstream.checkout import put_into_place, refuse_foreign, staging

    refuse_foreign(wish.destination)
    detection = _chosen(wish)
    release = find(detection.release)
    notes = list(detection.warnings)
    if wish.source.is_standin:
        notes.append(
            "the stand-in is a look-alike of 1.13.0, small enough to try bertkit with; "
            "it is not Habana's code"
        )
    if wish.dry_run:
        commit = _standin_commit(release) if wish.source.is_standin else release.commit
        return _result(wish, _lock(wish, commit, detection, {}), notes, changed=True)
    with staging(wish.destination) as tree:
        lock, said = _fetch(wish, release, detection, tree)
        notes += said
        write_lock(tree, lock)
        lock = _patched(tree, lock, wish.only)
        put_into_place(tree, wish.destination)
    return _result(wish, lock, notes, changed=True)


def _chosen(wish: _Wish) -> Detection:
    """The release to fetch; the stand-in has one even where nothing is detected."""
    if wish.found is not None:
        return wish.found
    if not wish.source.is_standin:
        raise not_found()
    from bertkit.upstream.standin import DEFAULT_RELEASE

    words = f"nothing detected: the stand-in looks like {DEFAULT_RELEASE}"
    return Detection(DEFAULT_RELEASE, "stand-in", warnings=(words,))


def _standin_commit(release: Release) -> str:
    """The commit that a checkout of the stand-in will be at."""
    from bertkit.upstream.standin import build

    with tempfile.TemporaryDirectory(prefix="bertkit-standin-") as scratch:
        return build(Path(scratch) / "repository", release)[1].commit


def _fetch(
    wish: _Wish, release: Release, detection: Detection, tree: Path
) -> Tuple[Lock, List[str]]:
    """Fill *tree*; its lock, without patches, and what is to be said about it."""
    from bertkit.upstream.checkout import fetch
    from bertkit.upstream.git import version

    notes: List[str] = []
    if wish.source.is_standin:
        from bertkit.upstream.standin import build, detach

        with tempfile.TemporaryDirectory(prefix="bertkit-standin-") as scratch:
            source, release = build(Path(scratch) / "repository", release)
            fetched = fetch(source, release, tree, partial=False)
        detach(tree)
    else:
        fetched = fetch(wish.source, release, tree)
    if fetched.moved:
        changed = ", ".join(fetched.changed[:5]) or "no file that bertkit knows"
        notes.append(
            f"branch {release.version} has moved from {release.commit[:12]} to "
            f"{fetched.commit[:12]}; changed there: {changed}"
        )
    tools = {"bertkit": __version__, "git": version(), "python": platform.python_version()}
    return _lock(wish, fetched.commit, detection, tools), notes


def _lock(wish: _Wish, commit: str, detection: Detection, tools: Dict[str, str]) -> Lock:
    return Lock(
        url=wish.source.url,
        release=detection.release,
        commit=commit,
        detected=detection.as_dict(),
        tools=tools,
        working_dir=wish.working_dir,
    )


def _existing(wish: _Wish) -> Prepared:
    """The destination has a lock: check that it is the right one, and mend what is missing."""
    tree = wish.destination
    if not wish.dry_run and (tree / STATE_DIRECTORY / "journal").exists():
        from bertkit.patching import recover

        recover(tree)
    before = read_lock(tree)
    notes = _check_same(wish, before)
    changed_files = differences(tree, before)
    if changed_files:
        raise PatchMisfit(
            "files of this checkout were changed after bertkit patched them",
            where=tree,
            why="; ".join(changed_files),
            next_step=f"put them back (bertkit patches diff --repo {shlex.quote(str(tree))}), "
            "or prepare another --dest",
        )
    lock = before
    if wish.working_dir is not None:
        lock = replace(lock, working_dir=wish.working_dir)
    is_whole = _is_whole(lock, wish.only)
    if not is_whole:
        _check_names(wish.only)
    if wish.dry_run:
        up_to_date = lock == before and is_whole
        return _result(wish, lock, notes, changed=not up_to_date)
    if lock != before:
        write_lock(tree, lock)
    if not is_whole:
        lock = _patched(tree, lock, wish.only)
    changed = (lock.patches, lock.working_dir) != (before.patches, before.working_dir)
    return _result(wish, lock, notes, changed=changed)


def _check_same(wish: _Wish, lock: Lock) -> List[str]:
    """Refuse a checkout of another release or kind than is wanted now."""
    found = wish.found
    wanted = lock.release if found is None else found.release
    if wanted != lock.release:
        raise EnvironmentUnfit(
            f"the destination holds release {lock.release}, but {wanted} is wanted",
            where=wish.destination,
            why=None if found is None else f"{wanted} is from: {found.source}",
            next_step=f"choose another --dest, or keep it: --synapse-version {lock.release}",
        )
    if wish.source.is_standin != (lock.url == STANDIN):
        kept = STANDIN if lock.url == STANDIN else lock.url
        raise EnvironmentUnfit(
            f"the destination is a checkout of {_kind(lock.url)}, "
            f"but {_kind(wish.source.url)} is wanted",
            where=wish.destination,
            why=f"upstream {wish.source.url} is from: {wish.source.given_by}",
            next_step=f"choose another --dest, or keep it: --upstream {shlex.quote(kept)}",
        )
    return [] if found is None else list(found.warnings)


def _kind(url: str) -> str:
    return "the stand-in" if url == STANDIN else "the real upstream"


def _patched(tree: Path, lock: Lock, only: Optional[Sequence[str]]) -> Lock:
    """Apply what is missing of the series to *tree*; its lock afterwards."""
    if only is not None and not only:
        return lock
    from bertkit.patching import apply_series, load_series

    apply_series(tree, lock.release, load_series(), only=only)
    after = read_lock(tree)
    if only is None:
        after = replace(after, tools={**after.tools, _SERIES: _fingerprint(after)})
        write_lock(tree, after)
    return after


def _is_whole(lock: Lock, only: Optional[Sequence[str]]) -> bool:
    """Whether the checkout is known to carry all that is wanted of this very series."""
    if only is not None:
        return set(only) <= {patch.id for patch in lock.patches}
    return lock.tools.get(_SERIES) == _fingerprint(lock)


def _fingerprint(lock: Lock) -> str:
    """A hash over every file of the shipped series and over the patches that *lock* has.

    Parsing the series takes many times as long as this, and is only needed when it differs.
    """
    folder = shipped("patches")
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(folder)} {len(content)}\n".encode())
        digest.update(content)
    digest.update(" ".join(patch.id for patch in lock.patches).encode())
    return digest.hexdigest()


def _result(wish: _Wish, lock: Lock, notes: Sequence[str], *, changed: bool) -> Prepared:
    return Prepared(
        destination=wish.destination,
        release=lock.release,
        commit=lock.commit,
        url=lock.url,
        detected=dict(lock.detected),
        patches=tuple(patch.id for patch in lock.patches),
        changed=changed,
        dry_run=wish.dry_run,
        working_dir=lock.working_dir,
        notes=tuple(notes),
    )

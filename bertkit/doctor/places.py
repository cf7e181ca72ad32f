"""The places: checkout, data, disk."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import List, Optional

from bertkit.data.layout import PREDICTIONS, DataLayout
from bertkit.doctor.findings import Finding, Surroundings
from bertkit.errors import BertkitError, PatchMisfit
from bertkit.launch.checks.disk import in_words
from bertkit.launch.nodes.facts import Facts
from bertkit.upstream.lock import Lock, differences


def findings(
    where: Surroundings,
    facts: Optional[Facts],
    lock: Optional[Lock],
    unread: Optional[BertkitError],
) -> List[Finding]:
    """What is there, and what is to be made.

    Args:
        where: the places.
        facts: the machine's; None: the ranks' Python did not answer.
        lock: of the checkout, if it could be read.
        unread: why it could not.
    """
    return [_checkout(where.repo, lock, unread), *_data(where.data), _disk(where.output, facts)]


def _checkout(repo: Path, lock: Optional[Lock], unread: Optional[BertkitError]) -> Finding:
    what = "checkout"
    if lock is None:
        if isinstance(unread, PatchMisfit):
            return Finding.of(what, unread)
        make = f"bertkit prepare-repo --dest {shlex.quote(str(repo))}"
        return Finding(what, f"none yet at {repo}", None, make)
    changed = differences(repo, lock)
    if changed:
        status = f"bertkit patches status --repo {shlex.quote(str(repo))}"
        return Finding(
            what, f"{repo} is not what its lock says: {'; '.join(changed)}", False, status
        )
    return Finding(what, f"{lock.release}, {len(lock.patches)} patches, {repo}", True)


def _data(root: Path) -> List[Finding]:
    layout = DataLayout(root)
    if not root.is_dir():
        make = f"bertkit data sample --data {shlex.quote(str(root))} makes a small set"
        return [Finding("data", f"none yet at {root}", None, make)]
    stages = [(f"records of {length} tokens", layout.training_records(length))
              for length in PREDICTIONS]  # fmt: skip
    stages += [("vocabulary", layout.vocab), ("MRPC", layout.mrpc), ("SQuAD", layout.squad)]
    return [_stage(f"data: {what}", path) for what, path in stages]


def _stage(what: str, path: Path) -> Finding:
    try:
        if path.is_file():
            return Finding(what, str(path), True)
        count = sum(1 for _ in path.iterdir())
    except FileNotFoundError:
        return Finding(what, f"none yet at {path}")
    except OSError as error:
        return Finding(what, f"{path}: {error.strerror}", False, "mend its permissions")
    if not count:
        return Finding(what, f"{path} is empty", False, "remove it and make it again: bertkit data")
    return Finding(what, f"{count} files in {path}", True)


def _disk(output: Path, facts: Optional[Facts]) -> Finding:
    what = "disk for results"
    if facts is None or facts.output is None:
        return Finding(what, "not known")
    place, free = facts.output.existing, in_words(facts.output.free_bytes)
    if not facts.output.writable:
        return Finding(what, f"{place} cannot be written to", False, "take another: --output DIR")
    if facts.output.free_files is not None and facts.output.free_files < 100:
        return Finding(what, f"{place} has no inodes left", False, "remove small files there")
    below = "" if str(output) == place else f" (for {output})"
    return Finding(what, f"{free} are free in {place}{below}", True)

"""What the ``patches`` commands work on: a tree, repaired first, and the release that it is."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from bertkit.errors import EnvironmentUnfit, UsageProblem
from bertkit.patching.journal import recover
from bertkit.patching.state import check_release
from bertkit.upstream.lock import lock_path, read_lock


@dataclass(frozen=True)
class Checkout:
    """A tree and its release."""

    tree: Path
    release: str


def opened(tree: Path, release: Optional[str] = None) -> Checkout:
    """Repair *tree* if a change of it was interrupted, and tell its release.

    Args:
        tree: the top of a checkout.
        release: what it is, if it has no lock.

    Raises:
        EnvironmentUnfit: there is no such directory, or it has no lock and no *release* is given.
        UsageProblem: *release* is not what the lock says.
        PatchMisfit: the repair is not possible, or the lock is damaged.
    """
    if not tree.is_dir():
        raise EnvironmentUnfit(
            "there is no such checkout",
            where=tree,
            next_step=f"bertkit prepare-repo --dest {shlex.quote(str(tree))}, "
            "or name another with --repo DIR",
        )
    recover(tree)
    if release is not None:
        check_release(release)
    if not lock_path(tree).exists():
        if release is None:
            raise EnvironmentUnfit(
                "no lock says which release this is",
                where=tree,
                next_step="name it with --release X.Y.Z, or bertkit prepare-repo --dest NEW",
            )
        return Checkout(tree, release)
    locked = read_lock(tree).release
    if release is not None and release != locked:
        raise UsageProblem(
            f"this checkout is {locked}, not {release}",
            where=tree,
            next_step="leave --release out",
        )
    return Checkout(tree, locked)

"""What the live upstream repository has that the catalogue does not know."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Dict, Optional, Tuple

from bertkit.errors import BertkitError
from bertkit.upstream import trouble
from bertkit.upstream.catalogue import is_release, load, numbers
from bertkit.upstream.git import (
    GitFailed,
    GitStalled,
    isolated,
    remote_branches,
    require_git,
)
from bertkit.upstream.source import Source, resolve

log = logging.getLogger("bertkit")


@dataclass(frozen=True)
class Moved:
    """A branch whose head is not the catalogue's commit any more."""

    version: str
    catalogued: str
    head: str
    has_bert: bool


@dataclass(frozen=True)
class Scan:
    """How the live repository differs from the catalogue.

    Attributes:
        url: the repository that was asked.
        known: how many numbered branches are where the catalogue says.
        moved: branches whose head has moved, oldest release first.
        new: numbered branches that the catalogue lacks, with their heads, oldest first.
        gone: releases of the catalogue that the repository lacks.
    """

    url: str
    known: int
    moved: Tuple[Moved, ...]
    new: Tuple[Tuple[str, str], ...]
    gone: Tuple[str, ...]

    @property
    def is_same(self) -> bool:
        """Whether there is nothing to say."""
        return not (self.moved or self.new or self.gone)


def branches_of(source: Source, *, limit: Optional[float] = None) -> Dict[str, str]:
    """The head of every branch of *source*, by the branch's name.

    Args:
        source: a repository, not ``standin``.
        limit: seconds until git is stopped; default ``git.limit_seconds``.

    Raises:
        UpstreamUnavailable: it cannot be asked.
    """
    require_git()
    with isolated(source.protocol):
        try:
            return remote_branches(source.url, limit=limit)
        except GitStalled as stall:
            raise trouble.stalled(stall.seconds, source) from None
        except GitFailed as failure:
            raise trouble.explained(failure.message, source) from None


def upstream_answers(upstream: Optional[str] = None, *, within: float = 10.0) -> bool:
    """Whether the upstream repository answers within *within* seconds.

    Raises:
        UpstreamUnavailable: *upstream* is no address that bertkit talks to.
    """
    source = resolve(upstream)
    if source.is_standin:
        return True
    try:
        branches_of(source, limit=within)
    except BertkitError as error:
        log.debug("%s does not answer: %s", source.url, error)
        return False
    return True


def scan(source: Source, *, limit: Optional[float] = None) -> Scan:
    """Compare *source* with the catalogue; arguments and errors as for ``branches_of``."""
    heads = {
        version: head
        for version, head in branches_of(source, limit=limit).items()
        if is_release(version)
    }
    catalogue = load()
    moved = [
        Moved(release.version, release.commit, heads[version], release.has_bert)
        for version, release in catalogue.items()
        if version in heads and heads[version] != release.commit
    ]
    new = sorted(
        ((version, head) for version, head in heads.items() if version not in catalogue),
        key=lambda pair: numbers(pair[0]),
    )
    gone = [version for version in catalogue if version not in heads]
    return Scan(
        url=source.url,
        known=len(catalogue) - len(moved) - len(gone),
        moved=tuple(moved),
        new=tuple(new),
        gone=tuple(gone),
    )

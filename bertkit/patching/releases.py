"""Ranges of upstream releases, such as ``0.14.0 - 1.1.1, 1.3.0``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Tuple

Version = Tuple[int, int, int]

_RELEASE = re.compile(r"(0|[1-9][0-9]{0,3})\.(0|[1-9][0-9]{0,3})\.(0|[1-9][0-9]{0,3})")


def parse_release(text: str) -> Version:
    """``1.13.0`` as (1, 13, 0).

    Raises:
        ValueError: *text* is not of the form N.N.N.
    """
    match = _RELEASE.fullmatch(text) if text.isascii() else None
    if match is None:
        raise ValueError(f"{text!r} is not a release (N.N.N)")
    return int(match.group(1)), int(match.group(2)), int(match.group(3))


@dataclass(frozen=True)
class ReleaseRange:
    """A union of closed intervals of releases; *text* is as it was written."""

    text: str
    intervals: Tuple[Tuple[Version, Version], ...]

    def __contains__(self, release: str) -> bool:
        version = parse_release(release)
        return any(first <= version <= last for first, last in self.intervals)

    def __str__(self) -> str:
        return self.text


def parse_range(text: str) -> ReleaseRange:
    """Read ``A - B, C``: from A to B, and C; both ends belong to it.

    Raises:
        ValueError: it has another form, or an interval that is empty.
    """
    intervals = []
    for piece in text.split(","):
        first, _, last = piece.partition(" - ")
        low = parse_release(first.strip())
        high = parse_release(last.strip()) if last else low
        if high < low:
            raise ValueError(f"{piece.strip()!r} is an empty range of releases")
        intervals.append((low, high))
    return ReleaseRange(text=text, intervals=tuple(intervals))

"""One source's answer to which release is here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Optional

# What stands before and after keeps parts of longer numbers out: 1.13.0 in 1.13.0.463 is a
# release, in 51.13.0 it is not.
_RELEASE = re.compile(r"(?<![0-9.])([0-9]{1,4}\.[0-9]{1,4}\.[0-9]{1,4})(?![0-9])")


@dataclass(frozen=True)
class Found:
    """A release and where it was read.

    Attributes:
        release: ``N.N.N``.
        source: the source's name, such as ``pip`` or ``sysfs``.
        detail: the text that it was read from, short and printable.
    """

    release: str
    source: str
    detail: str

    def __str__(self) -> str:
        return f"{self.release} ({self.source}: {self.detail})"


def found_in(text: str, source: str, detail: Optional[str] = None) -> Optional[Found]:
    """The first release in *text*, if there is one."""
    match = _RELEASE.search(text)
    if match is None:
        return None
    words = text if detail is None else detail
    clean = "".join(char for char in words.strip() if char.isprintable())
    return Found(match.group(1), source, clean[:80])

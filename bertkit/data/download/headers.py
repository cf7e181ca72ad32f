"""What the headers of an answer say; they may say anything."""

from __future__ import annotations

import re
import time
from email.utils import parsedate_to_datetime
from typing import Mapping, NamedTuple, Optional

# Numbers that a file's size can be; Python refuses to read far longer ones with an error.
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)")
_LENGTH = re.compile(r"[0-9]{1,18}")


class Range(NamedTuple):
    """Which bytes of a file an answer has; *last* is the last one itself."""

    first: int
    last: int
    total: Optional[int]


def range_of(headers: Mapping[str, str]) -> Optional[Range]:
    """What Content-Range says; none if it says nothing that makes sense."""
    match = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", "").strip())
    if match is None:
        return None
    total = None if match[3] == "*" else int(match[3])
    return Range(int(match[1]), int(match[2]), total)


def length_of(headers: Mapping[str, str]) -> Optional[int]:
    """What Content-Length says, in bytes; none if it says nothing that makes sense."""
    text = headers.get("Content-Length", "").strip()
    return int(text) if _LENGTH.fullmatch(text) else None


def validator_of(headers: Mapping[str, str]) -> Optional[str]:
    """What If-Range takes: a strong ETag, else the time of the last change."""
    tag = headers.get("ETag", "")
    if tag and not tag.startswith("W/"):
        return tag
    return headers.get("Last-Modified") or None


def seconds_of(text: Optional[str]) -> Optional[float]:
    """Seconds from a Retry-After header, which has a number or a date."""
    if not text:
        return None
    if _LENGTH.fullmatch(text.strip()):
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, IndexError, OverflowError):
        return None

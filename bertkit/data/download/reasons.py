"""Why a request failed, in the few words that a person needs."""

from __future__ import annotations

import re
from typing import Any, Dict


def plain(error: BaseException) -> str:
    """The innermost reason of an error that libraries have wrapped several times."""
    reasons: Dict[int, Any] = {}
    found: Any = error
    while isinstance(found, BaseException) and id(found) not in reasons:
        reasons[id(found)] = found
        inner = getattr(found, "reason", None)
        if not isinstance(inner, BaseException):
            inner = next((each for each in found.args if isinstance(each, BaseException)), None)
        found = inner or found.__cause__ or found.__context__
    last = list(reasons.values())[-1]
    names = " ".join(type(each).__name__ for each in reasons.values())
    if "imeout" in names:
        return "it did not answer in time"
    if "IncompleteRead" in names:
        return "it closed the connection"
    if isinstance(last, OSError) and last.strerror:
        return last.strerror
    return re.sub(r"<[^>]*>:? ?", "", str(last)) or type(last).__name__

"""What a cluster leaves out of an object: a server drops fields that it does not know silently."""

from __future__ import annotations

from typing import Any, List


def dropped(sent: Any, stored: Any, place: str = "") -> List[str]:
    """The places in *sent* that are not in *stored*; what is empty may be left out.

    Args:
        sent: an object as it was given to the server.
        stored: the server's answer.
        place: of both, in what they are part of.
    """
    if isinstance(sent, dict) and isinstance(stored, dict):
        found = []
        for key, value in sent.items():
            here = f"{place}.{key}" if place else str(key)
            if key in stored:
                found += dropped(value, stored[key], here)
            elif value not in (None, "", 0, [], {}):
                found.append(here)
        return found
    if isinstance(sent, list) and isinstance(stored, list):
        pairs = enumerate(zip(sent, stored))
        return [each for i, (a, b) in pairs for each in dropped(a, b, f"{place}[{i}]")]
    return []

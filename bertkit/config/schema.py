"""Checking a settings file against ``sites/schema.json``, with words for people.

The schema is an ordinary JSON schema, so that editors can use it. bertkit checks by the same file
and needs only the few keywords that it uses; any other keyword in it is an error of bertkit's own.
"""

from __future__ import annotations

import difflib
import json
import re
from functools import lru_cache
from typing import Any, Dict, Iterator, List, Mapping, Tuple

from bertkit.resources import shipped
from bertkit.strict_yaml import Place

_TYPES = {"string": str, "boolean": bool, "integer": int, "object": dict, "array": list}
_WORDS = {
    "string": "a text (quote it)", "boolean": "true or false", "integer": "a whole number",
    "object": "a mapping", "array": "a list",
}  # fmt: skip
_STRUCTURE = {"type", "properties", "additionalProperties", "items"}
_REMARKS = {"$schema", "$defs", "title", "description"}


@lru_cache(maxsize=1)
def schema() -> Mapping[str, Any]:
    """The schema of site profiles and settings files."""
    raw: Dict[str, Any] = json.loads((shipped("sites") / "schema.json").read_text("utf-8"))
    return raw


def problems(value: object) -> List[Tuple[Place, str]]:
    """Where *value* is not a settings file, each with words; empty if it is one."""
    return list(_problems(value, schema(), ()))


def scalars() -> List[Place]:
    """The places of all settings that are one text or number; these have variables."""
    return list(_scalars(schema(), ()))


def written(place: Place) -> str:
    """A place as people write it: ``volumes[1].name``."""
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _scalars(rule: Mapping[str, Any], place: Place) -> Iterator[Place]:
    for key, below in rule.get("properties", {}).items():
        if "enum" in below or below.get("type") in ("string", "integer", "boolean"):
            yield (*place, key)
        elif below.get("type") == "object":
            yield from _scalars(below, (*place, key))


def _problems(value: object, rule: Mapping[str, Any], place: Place) -> Iterator[Tuple[Place, str]]:
    if "$ref" in rule:
        name = rule["$ref"].rpartition("/")[2]
        yield from _problems(value, schema()["$defs"][name], place)
        return
    wanted = rule.get("type")
    if wanted is not None:
        fits = isinstance(value, _TYPES[wanted])
        if not fits or (wanted == "integer" and isinstance(value, bool)):
            yield place, f"wants {_WORDS[wanted]}, not {value!r}"
            return
    for keyword, argument in rule.items():
        if keyword in _STRUCTURE or keyword in _REMARKS:
            continue
        why = _KEYWORDS[keyword](value, argument)
        if why:
            yield place, why
    if isinstance(value, dict):
        yield from _of_mapping(value, rule, place)
    elif isinstance(value, list) and "items" in rule:
        for index, child in enumerate(value):
            yield from _problems(child, rule["items"], (*place, index))
    elif isinstance(value, str) and not value.isprintable():
        yield place, "has characters that cannot be printed"


def _of_mapping(
    value: Mapping[str, Any], rule: Mapping[str, Any], place: Place
) -> Iterator[Tuple[Place, str]]:
    known = rule.get("properties", {})
    others = rule.get("additionalProperties", False)
    for key, child in value.items():
        if key in known:
            yield from _problems(child, known[key], (*place, key))
        elif others is not False:
            yield from _problems(child, others, (*place, key))
        else:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.4)
            hint = f"; did you mean {near[0]}?" if near else f"; known: {', '.join(known)}"
            yield (*place, key), f"no such setting{hint}"


def _missing(value: Any, keys: List[str]) -> str:
    lacking = [key for key in keys if key not in value]
    return f"lacks {', '.join(lacking)}" if lacking else ""


_KEYWORDS: Dict[str, Any] = {
    "required": _missing,
    "enum": lambda value, argument: (
        "" if value in argument else f"is {value!r}; it can be {', '.join(map(repr, argument))}"
    ),
    "pattern": lambda value, argument: (
        "" if re.search(argument, value) else f"{value!r} is not written as it must be: {argument}"
    ),
    "minLength": lambda value, argument: "" if len(value) >= argument else "is empty",
    "maxLength": lambda value, argument: (
        "" if len(value) <= argument else f"is longer than {argument} characters"
    ),
    "minimum": lambda value, argument: "" if value >= argument else f"is below {argument}",
    "maximum": lambda value, argument: "" if value <= argument else f"is above {argument}",
    "maxItems": lambda value, argument: (
        "" if len(value) <= argument else f"has more than {argument} entries"
    ),
}

"""Reading what ``launchers/node.py`` printed.

The answer may come from another machine: it is taken for hostile until every value of it has been
checked.
"""

from __future__ import annotations

import json
import re
from typing import Any, Mapping, NoReturn, Optional, Sized, cast

from bertkit.errors import EnvironmentUnfit
from bertkit.launch.nodes.facts import (
    Checkout,
    Device,
    Facts,
    Hugepages,
    Memory,
    Need,
    Output,
    Probe,
    Processors,
)

_SCHEMA = 1
_MARK = '{"bertkit_node":'
_MOST_CHARACTERS = 4 << 20
_MOST_ENTRIES = 4096
_LONGEST_TEXT = 4096


def parse(printed: str, who: str) -> Facts:
    """The facts in what ``launchers/node.py`` printed on *who*; other lines are passed over.

    Raises:
        EnvironmentUnfit: there is no answer, or something in it is not as it must be.
    """
    lines = [line for line in printed[-_MOST_CHARACTERS:].splitlines() if line.startswith(_MARK)]
    try:
        if not lines:
            last = (printed.strip().splitlines() or ["nothing"])[-1]
            raise ValueError(f"it printed {_printable(last)[:120]!r}")
        raw = json.loads(lines[-1], parse_constant=_no_number)
        if raw["bertkit_node"] != _SCHEMA:
            raise ValueError(f"schema {raw['bertkit_node']!r}, this bertkit reads {_SCHEMA}")
        return _facts(raw)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        why = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise EnvironmentUnfit(
            "the node's answer cannot be read",
            where=who,
            why=why or type(error).__name__,
            next_step="look whether Python 3.8 or newer runs there",
        ) from None


def _facts(raw: Mapping[str, Any]) -> Facts:
    devices = _maybe(raw["devices"], list)
    missing = _maybe(raw["missing"], list)
    packages, needs, parts = (_maybe(raw[key], dict) for key in ("packages", "needs", "checkpoint"))
    return Facts(
        host=_text(raw["host"]),
        time=_number(raw["time"]),
        python=_text(raw["python"]),
        executable=_text(raw["executable"]),
        packages=None if packages is None else {_name(k): _text(v) for k, v in packages.items()},
        missing=None if missing is None else tuple(map(_name, missing)),
        horovod_built_for=_text(raw["horovod_built_for"]),
        driver=_text(raw["driver"]),
        devices=None if devices is None else tuple(map(_device, devices)),
        hugepages=_counts(Hugepages, raw["hugepages"]),
        memory=_counts(Memory, raw["memory"]),
        cores=_processors(raw["cores"]),
        checkout=_checkout(raw["checkout"]),
        needs=None if needs is None else {_name(key): _need(value) for key, value in needs.items()},
        checkpoint=None
        if parts is None
        else {_name(k): _sure(_count(v)) for k, v in parts.items()},
        output=_output(raw["output"]),
        probe=_probe(raw["probe"]),
        unknown={_name(key): _name(value) for key, value in _dict(raw["unknown"]).items()},
    )


def _device(value: Any) -> Device:
    raw = _dict(value)
    return Device(
        name=_sure(_text(raw["name"], r"(accel|hl)\d{1,4}")),
        status=_text(raw["status"]),
        pci=_text(raw["pci"], r"[0-9a-fA-F:.]{7,16}"),
        numa=_count(raw["numa"]),
        module=_count(raw["module"]),
        driver=_text(raw["driver"]),
        refused=_text(raw["refused"]),
        holders=tuple(
            f"{_sure(_count(each['pid']))} {_name(each['command'])}"
            for each in _sure(_maybe(raw["holders"], list))
        ),
    )


def _counts(kind: Any, value: Any) -> Any:
    """A dataclass whose fields are all counts."""
    if value is None:
        return None
    raw = _dict(value)
    return kind(**{name: _count(raw[name]) for name in kind.__dataclass_fields__})


def _processors(value: Any) -> Optional[Processors]:
    if value is None:
        return None
    raw = _dict(value)
    return Processors(
        threads=_sure(_count(raw["threads"])),
        physical=_count(raw["physical"]),
        sockets=_count(raw["sockets"]),
        quota=_number(raw["quota"]),
    )


def _checkout(value: Any) -> Optional[Checkout]:
    if value is None:
        return None
    raw = _dict(value)
    return Checkout(
        lock=_sure(_text(raw["lock"], r"[0-9a-f]{64}")),
        release=_sure(_text(raw["release"], r"\d{1,4}\.\d{1,4}\.\d{1,4}")),
        commit=_sure(_text(raw["commit"])),
        files={_name(k): _text(v, r"[0-9a-f]{40}") for k, v in _dict(raw["files"]).items()},
    )


def _need(value: Any) -> Need:
    raw = _dict(value)
    return Need(
        path=_name(raw["path"]),
        kind=_text(raw["kind"], r"file|directory"),
        files=_count(raw["files"]),
        bytes=_count(raw["bytes"]),
        sha256=_text(raw["sha256"], r"[0-9a-f]{64}"),
        why=_text(raw["why"]),
        contents=_text(raw["contents"], r"[0-9a-f]{64}"),
    )


def _output(value: Any) -> Optional[Output]:
    if value is None:
        return None
    raw = _dict(value)
    return Output(
        existing=_name(raw["existing"]),
        writable=_truth(raw["writable"]),
        free_bytes=_sure(_count(raw["free_bytes"])),
        free_files=_count(raw["free_files"]),
        holds=_truth(raw["holds"]),
    )


def _probe(value: Any) -> Optional[Probe]:
    if value is None:
        return None
    raw = _dict(value)
    return Probe(_name(raw["directory"]), _truth(raw["found"]))


def _maybe(value: Any, kind: type) -> Any:
    if value is None:
        return None
    if not isinstance(value, kind) or len(cast(Sized, value)) > _MOST_ENTRIES:
        raise ValueError(f"a {kind.__name__} was expected, or it is too long: {str(value)[:60]!r}")
    return value


def _dict(value: Any) -> Mapping[str, Any]:
    found: Mapping[str, Any] = _sure(_maybe(value, dict))
    return found


def _sure(value: Any) -> Any:
    if value is None:
        raise ValueError("a value is null that must not be")
    return value


def _text(value: Any, pattern: Optional[str] = None) -> Optional[str]:
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT:
        raise ValueError(f"a text was expected: {str(value)[:60]!r}")
    if pattern is not None and not re.fullmatch(pattern, value, re.ASCII):
        raise ValueError(f"an unexpected text: {value[:60]!r}")
    return _printable(value)


def _name(value: Any) -> str:
    found: str = _sure(_text(value))
    return found


def _printable(value: str) -> str:
    """Without characters that would act on a terminal or break a line."""
    return "".join(char if char.isprintable() else "?" for char in value)


def _number(value: Any) -> Optional[float]:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1 << 53:
        raise ValueError(f"a number was expected: {str(value)[:60]!r}")
    return float(value)


def _count(value: Any) -> Optional[int]:
    if value is None:
        return None
    if type(value) is not int or not 0 <= value < 1 << 63:
        raise ValueError(f"a count was expected: {str(value)[:60]!r}")
    return int(value)


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"true or false was expected: {str(value)[:60]!r}")
    return value


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number")

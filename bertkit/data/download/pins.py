"""What a file was when it first came: beside it in ``NAME.pin.json``, and compared ever after."""

from __future__ import annotations

import datetime
import hashlib
import json
from pathlib import Path
from typing import Dict, NamedTuple, Optional

from bertkit.data.download.remote import Remote
from bertkit.errors import DataDamaged
from bertkit.files import write_json


class Pin(NamedTuple):
    """A file as it was found good.

    Attributes:
        sha256: of its content, in hex.
        size: in bytes.
        mtime_ns: its time of change; while that is the same the content is not read again.
        address: where it came from.
        sums: published sums that it was compared with; empty where there are none.
        first_fetched: date and time, UTC.
    """

    sha256: str
    size: int
    mtime_ns: int
    address: str
    sums: Dict[str, str]
    first_fetched: str


def pin_of(target: Path) -> Path:
    """Where the pin of *target* lies."""
    return target.with_name(f"{target.name}.pin.json")


def read_pin(target: Path) -> Optional[Pin]:
    """The pin of *target*; none if there is none.

    Raises:
        DataDamaged: there is one and it cannot be read.
    """
    path = pin_of(target)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        pin = Pin(**{field: content[field] for field in Pin._fields})
        if not (isinstance(pin.sha256, str) and isinstance(pin.size, int)):
            raise ValueError("not a pin")
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise DataDamaged(
            "the note of a file's first download cannot be read",
            where=path,
            why=str(error),
            next_step=f"if {target.name} is to be fetched anew, remove both and run this again",
        ) from None
    return pin


def write_pin(target: Path, pin: Pin) -> None:
    """Write the pin of *target*, atomically."""
    write_json(pin_of(target), pin._asdict())


def digests(path: Path, algorithms: Dict[str, str]) -> Dict[str, str]:
    """The SHA-256 of *path* and its sums by the other *algorithms* named, in one reading."""
    made = {name: hashlib.new(name) for name in {"sha256", *algorithms}}
    with path.open("rb") as stream:
        for piece in iter(lambda: stream.read(1 << 20), b""):
            for digest in made.values():
                digest.update(piece)
    return {name: digest.hexdigest() for name, digest in made.items()}


def wanted_of(remote: Remote, pin: Optional[Pin]) -> Dict[str, str]:
    """The sums that the content must have: those published, and that of the first download."""
    wanted = {name: value.lower() for name, value in remote.sums.items()}
    if pin is not None:
        wanted.setdefault("sha256", pin.sha256)
    return wanted


def difference(found: Dict[str, str], wanted: Dict[str, str]) -> Optional[str]:
    """In which sum the content is another one than *wanted*; none if in none."""
    for name, value in wanted.items():
        if found[name] != value:
            return f"its {name} is {found[name]}, not {value}"
    return None


def now() -> str:
    """Date and time, UTC, as pins have them."""
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")

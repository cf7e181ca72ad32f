"""Fetching one file: it has its final name when it is whole and right, and not before.

    NAME.part, NAME.part.json   what has come so far, and from where
    NAME.pin.json               what the file was when it first came
    .NAME.lock                  held while a process works on it

A kill at any moment loses at most the last few megabytes; the next run goes on behind them.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Optional

from bertkit.data.download.patience import Patience
from bertkit.data.download.pins import Pin, difference, digests, now, read_pin, wanted_of, write_pin
from bertkit.data.download.remote import Remote, addresses_of
from bertkit.data.download.transfer import Check, Transfer
from bertkit.errors import BertkitError, DataDamaged
from bertkit.files import exclusive


class Fetched(NamedTuple):
    """A file that is there and as it should be.

    Attributes:
        path: where it lies.
        sha256: of its content, in hex.
        size: in bytes.
        address: where it came from, when it came.
        was_there: whether nothing had to be done.
    """

    path: Path
    sha256: str
    size: int
    address: str
    was_there: bool


def fetch(
    remote: Remote,
    directory: Path,
    *,
    given: Optional[str] = None,
    patience: Patience = Patience(),  # noqa: B008  (it cannot be changed)
    check: Optional[Check] = None,
) -> Fetched:
    """Have *remote* below *directory*, whole and checked.

    Args:
        remote: the file.
        directory: usually ``DATA/download``; made if missing.
        given: ``--from``, see ``addresses_of``.
        patience: how long to wait and how often to try.
        check: a further look at the content before it gets its name.

    Raises:
        DownloadFailed: no address gives it, and the message says why for each; or there is no
            room for it.
        DataDamaged: what came, or what is there, is not the file that it should be.
        EnvironmentUnfit: its place cannot be written.
    """
    target = directory / remote.place
    target.parent.mkdir(parents=True, exist_ok=True)
    with exclusive(target.with_name(f".{target.name}.lock"), purpose=f"download of {target}"):
        there = find(remote, directory)
        if there is not None:
            return there
        transfer = Transfer(remote, target, patience, check)
        pin = transfer.carry_out(addresses_of(remote, given))
        return Fetched(target, pin.sha256, pin.size, pin.address, False)


def find(remote: Remote, directory: Path) -> Optional[Fetched]:
    """*remote* as an earlier run left it below *directory*; none if it is to be fetched.

    Raises:
        DataDamaged: a file is there, and it is not the one that came or that it should be.
    """
    target = directory / remote.place
    pin = read_pin(target)
    if not target.exists():
        return None
    status = target.stat()
    same = pin is not None and (status.st_size, status.st_mtime_ns) == (pin.size, pin.mtime_ns)
    if pin is not None and same and remote.sums.items() <= pin.sums.items():
        return Fetched(target, pin.sha256, pin.size, pin.address, True)
    wanted = wanted_of(remote, pin)
    if not wanted:
        raise BertkitError(
            f"{target.name} is there, and bertkit did not fetch it",
            where=target,
            why="so nothing is known that it could be compared with",
            next_step="move it to another directory and name that with --from",
        )
    found = digests(target, wanted)
    why = difference(found, wanted)
    if why:
        raise DataDamaged(
            f"{target.name} is not "
            f"{'what was fetched' if pin and not same else 'the file that is published'}",
            where=target,
            why=why,
            next_step="move it away and run the same command again",
        )
    address = pin.address if pin else target.as_uri()
    first = pin.first_fetched if pin else now()
    write_pin(target, Pin(found["sha256"], status.st_size, status.st_mtime_ns, address,
                          remote.sums, first))  # fmt: skip
    return Fetched(target, found["sha256"], status.st_size, address, True)

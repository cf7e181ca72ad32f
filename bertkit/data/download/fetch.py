"""Fetching one file: it has its final name when it is whole and right, and not before.

    NAME.part, NAME.part.json   what has come so far, and from where
    NAME.pin.json               what the file was when it first came
    .NAME.lock                  held while a process works on it

A kill at any moment loses at most the last few megabytes; the next run goes on behind them.
"""

from __future__ import annotations

import datetime
import errno
import logging
import shutil
from pathlib import Path
from typing import Callable, Dict, List, NamedTuple, Optional

from bertkit.data.download.part import Part
from bertkit.data.download.patience import Patience
from bertkit.data.download.pins import Pin, digests, pin_of, read_pin, write_pin
from bertkit.data.download.progress import Progress, size_of
from bertkit.data.download.remote import Remote, addresses_of, shown
from bertkit.data.download.web import Answer, Passing, Trouble, Web, WrongRange
from bertkit.errors import BertkitError, DataDamaged, DownloadFailed, EnvironmentUnfit
from bertkit.files import exclusive, sync_directory

log = logging.getLogger("bertkit.data")

_SPARE_BYTES = 16 << 20
_LONG_TO_READ = 1 << 30  # bytes, of which the reading alone takes seconds

#: looks into a file that has no published sum; raises DataDamaged if it is not what it should be
Check = Callable[[Path], object]


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


class _Damaged(Trouble):
    """What came is not the file that it should be."""


class _AnotherFile(_Damaged):
    """What would come is not that file: nothing was taken, and what is there stays."""


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
        DownloadFailed: no address gives it; the message says why for each.
        DataDamaged: what came, or what is there, is not the file that it should be.
        EnvironmentUnfit: there is no room for it.
    """
    target = directory / remote.place
    target.parent.mkdir(parents=True, exist_ok=True)
    with exclusive(target.with_name(f".{target.name}.lock"), purpose=f"download of {target}"):
        there = find(remote, directory)
        if there is not None:
            return there
        return _Fetching(remote, target, patience, check).carry_out(addresses_of(remote, given))


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
    if pin is not None and (status.st_size, status.st_mtime_ns) == (pin.size, pin.mtime_ns):
        return Fetched(target, pin.sha256, pin.size, pin.address, True)
    wanted = _wanted(remote, pin)
    if not wanted:
        raise BertkitError(
            f"{target.name} is there, and bertkit did not fetch it",
            where=target,
            why="so nothing is known that it could be compared with",
            next_step="move it to another directory and name that with --from",
        )
    found = digests(target, wanted)
    if not _agree(found, wanted):
        raise DataDamaged(
            f"{target.name} is not {'what was fetched' if pin else 'the file that is published'}",
            where=target,
            why=_difference(found, wanted),
            next_step="move it away and run the same command again",
        )
    address = pin.address if pin else target.as_uri()
    first = pin.first_fetched if pin else _now()
    write_pin(target, Pin(found["sha256"], status.st_size, status.st_mtime_ns, address,
                          remote.sums, first))  # fmt: skip
    return Fetched(target, found["sha256"], status.st_size, address, True)


class _Fetching:
    def __init__(
        self, remote: Remote, target: Path, patience: Patience, check: Optional[Check]
    ) -> None:
        self.remote, self.target, self.patience, self.check = remote, target, patience, check
        self.part = Part(target, patience.sync_bytes)
        self.pin = read_pin(target)
        self.wanted = _wanted(remote, self.pin)
        self.size = self.pin.size if self.pin else remote.size
        self.web = Web(patience)

    def carry_out(self, addresses: List[str]) -> Fetched:
        failures: Dict[str, Trouble] = {}
        for address in addresses:
            try:
                return self._from(address)
            except Trouble as trouble:
                failures[shown(address)] = trouble
                log.info("%s: %s", shown(address), trouble)
        raise self._failed(failures)

    def _from(self, address: str) -> Fetched:
        """All attempts at one address.

        Raises:
            Trouble: it does not give the file.
        """
        failures, mended, anew = 0, False, False
        while True:
            before, resumed = self.part.size, self.part.size > 0
            try:
                if not self.part.whole:
                    self._receive(address, anew)
                return self._verified(address)
            except _AnotherFile:
                raise
            except _Damaged:
                self.part.discard()
                if not resumed or mended:
                    raise
                mended = True  # of two halves that do not belong together, one cannot say which
                log.info("%s: the parts do not make the whole; once more from the start",
                         self.target.name)  # fmt: skip
            except WrongRange as trouble:
                log.info("%s: %s; once more from the start", shown(address), trouble)
                anew = True
                failures += 1
                if failures >= self.patience.attempts:
                    raise
            except Passing as trouble:
                anew = False
                got_on = self.part.size - before >= self.patience.enough_bytes
                failures = 1 if got_on else failures + 1
                if failures >= self.patience.attempts:
                    raise
                wait = self.patience.wait_after(failures) if trouble.wait is None else trouble.wait
                log.info("%s: %s; again in %.1f s", shown(address), trouble, wait)
                self.patience.sleep(wait)

    def _receive(self, address: str, anew: bool) -> None:
        part = self.part
        start, validator = part.size, part.validator if part.address == address else None
        if anew or (validator is None and not self.wanted):
            start = 0  # nothing would tell whether the rest belongs to the part
        with self.web.get(address, start, validator) as answer:
            if answer.start and answer.total is None:
                answer = answer._replace(total=part.total)
            self._look_at_size(answer)
            if answer.start and part.total not in (None, answer.total):
                raise WrongRange(f"it had {part.total:,} bytes and now has {answer.total:,}")
            total = self.size if answer.total is None else answer.total
            try:
                part.begin(address, answer.start, answer.total, answer.validator)
                try:
                    with Progress(self.target.name, total, part.size) as progress:
                        for piece in answer.pieces:
                            part.write(piece)
                            if part.size > self.remote.most_bytes:
                                raise _Damaged(_too_large(self.remote))
                            progress.at(part.size)
                finally:
                    part.close()
            except OSError as error:  # the network's have become Troubles
                raise self._unwritable(error) from None
        if part.total is None:
            part.total = part.size

    def _look_at_size(self, answer: Answer) -> None:
        if answer.total is None:
            return
        if answer.total > self.remote.most_bytes:
            raise _AnotherFile(_too_large(self.remote))
        # With a sum the content is fixed, and so is the size that was told before.
        size = self.part.total if self.size is None and self.wanted else self.size
        if size is not None and answer.total != size:
            raise _AnotherFile(f"it has {answer.total:,} bytes, not {size:,}")
        needed = answer.total - self.part.size
        free = shutil.disk_usage(str(self.target.parent)).free
        if needed + _SPARE_BYTES > free:
            raise self._no_room(f"{size_of(needed)} are to come, {size_of(free)} are free")

    def _unwritable(self, error: OSError) -> EnvironmentUnfit:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return self._no_room(f"{error.strerror}; {size_of(self.part.synced)} of it are kept")
        return EnvironmentUnfit(
            f"{self.target.name} cannot be written",
            where=error.filename or self.part.path,
            why=error.strerror or str(error),
            next_step="mend that and run the same command again, which goes on where this stopped",
        )

    def _no_room(self, why: str) -> EnvironmentUnfit:
        return EnvironmentUnfit(
            f"there is no room for {self.target.name}",
            where=self.target.parent,
            why=why,
            next_step="make room, then run the same command again; or give another --data",
        )

    def _verified(self, address: str) -> Fetched:
        """Check what has come, pin it and give it its name.

        Raises:
            Trouble: it is not what it should be.
        """
        part = self.part
        status = part.path.stat()
        if self.size is not None and status.st_size != self.size:
            raise _Damaged(f"it has {status.st_size:,} bytes, not {self.size:,}")
        if not status.st_size:
            raise _Damaged("it is empty")
        if status.st_size > _LONG_TO_READ:
            log.info("%s: checking its %s", self.target.name, size_of(status.st_size))
        found = digests(part.path, self.wanted)
        if not _agree(found, self.wanted):
            raise _Damaged(_difference(found, self.wanted))
        if self.check is not None and not self.remote.sums:
            try:
                self.check(part.path)
            except DataDamaged as error:
                raise _Damaged(f"{error.what}{f' ({error.why})' if error.why else ''}") from None
        pin = Pin(found["sha256"], status.st_size, status.st_mtime_ns, shown(address),
                  self.remote.sums, self.pin.first_fetched if self.pin else _now())  # fmt: skip
        write_pin(self.target, pin)
        part.finish(self.target)
        sync_directory(self.target.parent)
        return Fetched(self.target, pin.sha256, pin.size, pin.address, False)

    def _failed(self, failures: Dict[str, Trouble]) -> BertkitError:
        why = "; ".join(f"{address}: {trouble}" for address, trouble in failures.items())
        kept = f"{size_of(self.part.size)} of it are kept, and " if self.part.size else ""
        aside = "fetch the file otherwise and name its directory with --from DIR"
        if any(isinstance(trouble, _Damaged) for trouble in failures.values()):
            pinned = ""
            if self.pin is not None:
                pinned = (
                    f"; if the new content is right, remove {pin_of(self.target)}, which pins "
                    f"the download of {self.pin.first_fetched}"
                )
            return DataDamaged(
                f"{self.target.name} did not come as it should be",
                where=next(iter(failures)),
                why=why,
                next_step=f"run the same command again, or {aside}{pinned}",
            )
        return DownloadFailed(
            f"{self.target.name} cannot be fetched",
            where=next(iter(failures)),
            why=why,
            next_step=f"{kept}the same command goes on later; or {aside}",
        )


def _wanted(remote: Remote, pin: Optional[Pin]) -> Dict[str, str]:
    """The sums that the content must have: those published, and that of the first download."""
    wanted = {name: value.lower() for name, value in remote.sums.items()}
    if pin is not None:
        wanted.setdefault("sha256", pin.sha256)
    return wanted


def _agree(found: Dict[str, str], wanted: Dict[str, str]) -> bool:
    return all(found[name] == value for name, value in wanted.items())


def _difference(found: Dict[str, str], wanted: Dict[str, str]) -> str:
    name = next(name for name, value in wanted.items() if found[name] != value)
    return f"its {name} is {found[name]}, not {wanted[name]}"


def _too_large(remote: Remote) -> str:
    return f"it is larger than {size_of(remote.most_bytes)}, so it is something else"


def _now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")

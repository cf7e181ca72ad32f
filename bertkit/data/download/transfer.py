"""The attempts of one download: which address, from which byte, and what a failure means."""

from __future__ import annotations

import itertools
import logging
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Callable, Dict, List, Optional

from bertkit.data.download.part import Part
from bertkit.data.download.patience import Patience
from bertkit.data.download.pins import (
    Pin,
    difference,
    digests,
    now,
    pin_of,
    read_pin,
    wanted_of,
    write_pin,
)
from bertkit.data.download.progress import Progress, size_of
from bertkit.data.download.remote import Remote, shown
from bertkit.data.download.tail import Content, Tail
from bertkit.data.download.web import CONTACT, Answer, Passing, Trouble, Web, WrongRange
from bertkit.errors import BertkitError, DataDamaged, DownloadFailed, EnvironmentUnfit
from bertkit.files import NO_ROOM, sync_directory

log = logging.getLogger("bertkit.data")

_SPARE_BYTES = 16 << 20
_LOOK_SECONDS = 0.2  # between two looks at the second connection
_LONG_TO_READ = 1 << 30  # bytes, of which the reading alone takes seconds

#: looks into a file that has no published sum; raises DataDamaged if it is not what it should be
Check = Callable[[Path], object]


class _Damaged(Trouble):
    """What came is not the file that it should be."""


class _AnotherFile(_Damaged):
    """What would come is not that file: nothing was taken, and what is there stays."""


class Transfer:
    """Getting one file from its addresses in turn; the caller holds the file's lock."""

    def __init__(
        self, remote: Remote, target: Path, patience: Patience, check: Optional[Check]
    ) -> None:
        self.remote, self.target, self.patience, self.check = remote, target, patience, check
        self.part = Part(target, patience.sync_bytes)
        self.pin = read_pin(target)
        self.wanted = wanted_of(remote, self.pin)
        self.size = self.pin.size if self.pin else remote.size
        self.web = Web(patience)
        self.one_by_one = False

    def carry_out(self, addresses: List[str]) -> Pin:
        """The file with its final name, from the first of *addresses* that gives it.

        Raises:
            DownloadFailed, DataDamaged, EnvironmentUnfit: see ``fetch``.
        """
        failures: Dict[str, Trouble] = {}
        for address in addresses:
            try:
                return self._from(address)
            except Trouble as trouble:
                failures[shown(address)] = trouble
                log.info("%s: %s", shown(address), trouble)
        raise self._failed(failures)

    def _from(self, address: str) -> Pin:
        """All attempts at one address.

        Raises:
            Trouble: it does not give the file.
        """
        failures, mended, anew = 0, False, False
        while True:
            before, resumed = self.part.size, self.part.size > 0
            try:
                while not self.part.whole:
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
        """What one request gives; of a large file a second one fetches the other half beside."""
        part, tail = self.part, None
        start, validator = part.size, part.validator if part.address == address else None
        if anew or (validator is None and not self.wanted):
            start = 0  # nothing would tell whether the rest belongs to the part
        try:
            with self.web.get(address, start, validator) as answer:
                if answer.start and answer.total is None:
                    answer = answer._replace(total=part.total)
                self._look_at_size(answer)
                if not answer.start and answer.total is None and part.size and self.wanted:
                    answer = self._beginning_as_the_part(answer)
                if answer.start and part.total not in (None, answer.total):
                    raise WrongRange(f"it had {part.total:,} bytes and now has {answer.total:,}")
                tail = self._tail_of(address, answer)
                tail = self._take(address, answer, tail)
            # Behind the block: while it waits, the second connection may need the first one's slot.
            if tail is not None:
                self._take_over(tail)
        except OSError as error:  # the network's have become Troubles
            raise self._unwritable(error) from None
        finally:
            if tail is not None:
                tail.stop(wait=not isinstance(sys.exc_info()[1], KeyboardInterrupt))
        if part.total is None:
            part.total = part.size

    def _tail_of(self, address: str, answer: Answer) -> Optional[Tail]:
        """The second half, if the file is large enough and its content has a name."""
        if answer.total is None or answer.total < self.patience.split_bytes:
            return None
        if answer.validator is None or address.startswith("file:") or self.one_by_one:
            return None
        content = Content(address, answer.validator, answer.total)
        tail = Tail(self.part.path, content, self.patience)
        return tail if answer.start < tail.origin else None

    def _take(self, address: str, answer: Answer, tail: Optional[Tail]) -> Optional[Tail]:
        """Write what *answer* has, up to the tail if one comes beside it; gives that one."""
        part = self.part
        room = tail.end if tail is not None and tail.size else 0
        part.begin(address, answer.start, answer.total, answer.validator, room=room)
        if tail is not None:
            tail.start()
        total = self.size if answer.total is None else answer.total
        try:
            with Progress(self.target.name, total, part.size + _come(tail)) as progress:
                for piece in answer.pieces:
                    if tail is not None and tail.hopeless:
                        tail = None
                    if tail is not None and part.size + len(piece) >= tail.origin:
                        part.write(piece[: tail.origin - part.size])
                        break
                    part.write(piece)
                    if part.size > self.remote.most_bytes:
                        raise _Damaged(_too_large(self.remote))
                    progress.at(part.size + _come(tail))
        finally:
            part.close()
        return tail

    def _take_over(self, tail: Tail) -> None:
        """Wait for the second half, and count what came of it to the part."""
        part = self.part
        with Progress(self.target.name, part.total, part.size + tail.size) as progress:
            while not tail.wait(_LOOK_SECONDS):
                progress.at(part.size + tail.size)
        part.reach(tail.end)
        tail.forget()
        # Else a server that gives no parts would be asked for halves for ever.
        self.one_by_one = not part.whole

    def _look_at_size(self, answer: Answer) -> None:
        if answer.total is None:
            return
        if answer.total > self.remote.most_bytes:
            raise _AnotherFile(_too_large(self.remote))
        # With a sum the content is fixed, and so is the size that was told before.
        size = self.part.total if self.size is None and self.wanted else self.size
        if size is not None and answer.total != size:
            raise _AnotherFile(f"it has {answer.total:,} bytes, not {size:,}")
        needed = answer.total - self.part.on_disk
        free = shutil.disk_usage(str(self.target.parent)).free
        if needed + _SPARE_BYTES > free:
            raise self._no_room(
                f"{size_of(needed)} are to come and {size_of(_SPARE_BYTES)} to stay free, "
                f"{size_of(free)} are free"
            )

    def _beginning_as_the_part(self, answer: Answer) -> Answer:
        """*answer*, if it begins as the part does: else it is a page to log in at, say.

        Raises:
            _AnotherFile: it begins otherwise.
        """
        piece = next(answer.pieces, b"")
        with self.part.path.open("rb") as stream:
            there = stream.read(min(len(piece), self.part.size))
        if not piece or not piece.startswith(there):
            raise _AnotherFile("it begins otherwise than what has come of the file")
        return answer._replace(pieces=itertools.chain([piece], answer.pieces))

    def _unwritable(self, error: OSError) -> BertkitError:
        if error.errno in NO_ROOM:
            return self._no_room(f"{error.strerror}; {size_of(self.part.synced)} of it are kept")
        return EnvironmentUnfit(
            f"{self.target.name} cannot be written",
            where=error.filename or self.part.path,
            why=error.strerror or str(error),
            next_step="mend that and run the same command again, which goes on where this stopped",
        )

    def _no_room(self, why: str) -> DownloadFailed:
        return DownloadFailed(
            f"there is no room for {self.target.name}",
            where=self.target.parent,
            why=why,
            next_step="make room, then run the same command again; or give another --data",
        )

    def _verified(self, address: str) -> Pin:
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
        why = difference(found, self.wanted)
        if why:
            raise _Damaged(why)
        if self.check is not None and not self.remote.sums:
            try:
                self.check(part.path)
            except DataDamaged as error:
                raise _Damaged(f"{error.what}{f' ({error.why})' if error.why else ''}") from None
        pin = Pin(found["sha256"], status.st_size, status.st_mtime_ns, shown(address),
                  self.remote.sums, self.pin.first_fetched if self.pin else now())  # fmt: skip
        write_pin(self.target, pin)
        part.finish(self.target)
        sync_directory(self.target.parent)
        return pin

    def _failed(self, failures: Dict[str, Trouble]) -> BertkitError:
        why = "; ".join(f"{address}: {trouble}" for address, trouble in failures.items())
        kept = f"{size_of(self.part.size)} of it are kept, and " if self.part.size else ""
        if not os.environ.get(CONTACT) and re.search(r": (403|429)\b", why):
            why += f" (some servers want to know whom to ask: set {CONTACT} to your mail address)"
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


def _come(tail: Optional[Tail]) -> int:
    return 0 if tail is None else tail.size


def _too_large(remote: Remote) -> str:
    return f"it is larger than {size_of(remote.most_bytes)}, so it is something else"

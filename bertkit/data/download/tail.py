"""The second half of a large file, by a second connection while the first half comes.

Operators of mirrors allow two connections and limit the rate of each. The tail is written into
the same ``NAME.part``, behind a gap that the first connection fills. It helps and is never needed:
where it fails, the first connection goes on to the end.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import threading
from pathlib import Path
from typing import BinaryIO, NamedTuple, Optional

from bertkit.data.download.patience import Patience
from bertkit.data.download.web import Passing, Trouble, Web
from bertkit.files import write_json

log = logging.getLogger("bertkit.data")


class Content(NamedTuple):
    """Which content of which address both halves are of."""

    address: str
    validator: str
    total: int


class Tail:
    """What has come of a file behind its middle.

    Attributes:
        origin: where it begins.
        size: how many bytes have come.
    """

    def __init__(self, part: Path, content: Content, patience: Patience) -> None:
        self._part, self._content, self._patience = part, content, patience
        self._note = note_of(part)
        self._stop = threading.Event()
        self._thread: Optional[threading.Thread] = None
        self.origin, self.size, self._synced = content.total // 2, 0, 0
        self._recall()

    def _recall(self) -> None:
        try:
            note = json.loads(self._note.read_text(encoding="utf-8"))
            origin, size = int(note["origin"]), int(note["size"])
            same = note["content"] == list(self._content)
            if same and size >= 0 and 0 < origin <= origin + size <= self._part.stat().st_size:
                self.origin, self.size, self._synced = origin, size, size
        except (OSError, ValueError, KeyError, TypeError):
            return

    @property
    def end(self) -> int:
        """Up to which byte the file has come, once the first half is there."""
        return self.origin + self.size

    @property
    def hopeless(self) -> bool:
        """Whether it has given up with nothing to show for it."""
        return not self.size and self._thread is not None and not self._thread.is_alive()

    def start(self) -> None:
        """Begin to fetch, or go on."""
        self._thread = threading.Thread(target=self._run, name="tail", daemon=True)
        self._thread.start()

    def wait(self, seconds: float) -> bool:
        """Wait for its end, however it ends, at most *seconds*; gives whether it has ended."""
        assert self._thread is not None
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def stop(self, *, wait: bool = True) -> None:
        """End it with the bytes that come next."""
        self._stop.set()
        if wait and self._thread is not None:
            self._thread.join()

    def forget(self) -> None:
        """Leave nothing of it but the bytes."""
        with contextlib.suppress(FileNotFoundError):
            self._note.unlink()

    def _run(self) -> None:
        failures = 0
        while self.end < self._content.total and not self._stop.is_set():
            before = self.size
            try:
                self._receive()
            except Passing as trouble:
                got_on = self.size - before >= self._patience.enough_bytes
                failures = 1 if got_on else failures + 1
                if failures >= self._patience.attempts:
                    log.info("the second connection gave up: %s", trouble)
                    return
                self._stop.wait(self._patience.wait_after(failures))
            except (Trouble, OSError) as trouble:
                # What troubles the disk, the first connection meets as well, and tells.
                log.info("the second connection gave up: %s", trouble)
                return

    def _receive(self) -> None:
        address, validator, total = self._content
        with Web(self._patience, self._stop.is_set).get(address, self.end, validator) as answer:
            if answer.start != self.end or answer.total != total:
                raise Trouble("it does not give the second half alone")
            with self._part.open("r+b") as stream:
                stream.seek(self.end)
                try:
                    for piece in answer.pieces:
                        if self._stop.is_set():
                            return
                        stream.write(piece)
                        self.size += len(piece)
                        if self.size - self._synced >= self._patience.sync_bytes:
                            self._sync(stream)
                finally:
                    self._sync(stream)

    def _sync(self, stream: BinaryIO) -> None:
        stream.flush()
        os.fsync(stream.fileno())
        self._synced = self.size
        note = {"content": list(self._content), "origin": self.origin, "size": self.size}
        write_json(self._note, note)


def note_of(part: Path) -> Path:
    """Where it stands how much of the tail of *part* has come."""
    return part.with_name(f"{part.name}.tail.json")

"""A file that is not whole yet: ``NAME.part``, and beside it what is needed to go on with it."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import BinaryIO, Optional

from bertkit.files import write_json


class Part:
    """The part of *target* that has come so far.

    Attributes:
        path: ``NAME.part``.
        size: bytes that have come.
        synced: bytes that would survive a crash of the machine.
        total: size of the whole file, if known.
        address: where they came from.
        validator: that address' name for this content.
    """

    def __init__(self, target: Path, sync_bytes: int) -> None:
        self.path = target.with_name(f"{target.name}.part")
        self._note = target.with_name(f"{target.name}.part.json")
        self._sync_bytes = sync_bytes
        self._stream: Optional[BinaryIO] = None
        self.synced = 0
        self.size = 0
        self.total: Optional[int] = None
        self.address = ""
        self.validator: Optional[str] = None
        self._recall()

    def _recall(self) -> None:
        """Take up what an earlier run left; only what it knew to be on the disk counts."""
        try:
            note = json.loads(self._note.read_text(encoding="utf-8"))
            size, total = int(note["size"]), note["total"]
            if not 0 < size <= self.path.stat().st_size:
                return
            self.total = None if total is None else int(total)
            self.address, validator = str(note["address"]), note["validator"]
            self.validator = None if validator is None else str(validator)
        except (OSError, ValueError, KeyError, TypeError):
            return
        self.size = self.synced = size

    @property
    def whole(self) -> bool:
        """Whether all bytes have come."""
        return self.total is not None and self.size == self.total

    def begin(
        self, address: str, start: int, total: Optional[int], validator: Optional[str]
    ) -> None:
        """Make ready for bytes of *address* from *start* on; what stands behind it goes."""
        self.close()
        self.address, self.total, self.validator = address, total, validator
        self.size = start
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
        self._stream = os.fdopen(os.open(str(self.path), flags, 0o666), "r+b")
        self._stream.truncate(start)
        self._stream.seek(start)
        self._sync()

    def write(self, piece: bytes) -> None:
        """Append *piece*."""
        assert self._stream is not None
        self._stream.write(piece)
        self.size += len(piece)
        if self.size - self.synced >= self._sync_bytes:
            self._sync()

    def close(self) -> None:
        """Put all that has come on the disk, and note how much it is."""
        if self._stream is not None:
            stream, self._stream = self._stream, None
            with stream:
                self._sync(stream)

    def discard(self) -> None:
        """Begin anew."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        for path in (self._note, self.path):
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
        self.size = self.synced = 0
        self.total = self.validator = None
        self.address = ""

    def finish(self, target: Path) -> None:
        """Give the part its final name."""
        self.path.replace(target)
        with contextlib.suppress(FileNotFoundError):
            self._note.unlink()

    def _sync(self, stream: Optional[BinaryIO] = None) -> None:
        stream = stream or self._stream
        assert stream is not None
        stream.flush()
        os.fsync(stream.fileno())
        self.synced = self.size
        note = {
            "address": self.address,
            "validator": self.validator,
            "size": self.size,
            "total": self.total,
        }
        write_json(self._note, note)

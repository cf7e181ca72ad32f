"""A file that is not whole yet: ``NAME.part``, and beside it what is needed to go on with it."""

from __future__ import annotations

import contextlib
import glob
import json
import os
from pathlib import Path
from typing import BinaryIO, Optional

from bertkit.data.download.tail import note_of
from bertkit.files import NO_ROOM, write_json

_ROOM_FOR_NOTE = 64 << 10  # bytes, more than enough: file systems give it out in blocks


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
        self._noted = self._room = 0
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
        self.size = self.synced = self._noted = size

    @property
    def on_disk(self) -> int:
        """Bytes of the disk that are taken already."""
        try:
            return self.path.stat().st_blocks * 512
        except OSError:
            return 0

    @property
    def whole(self) -> bool:
        """Whether all bytes have come."""
        return self.total is not None and self.size == self.total

    def begin(
        self,
        address: str,
        start: int,
        total: Optional[int],
        validator: Optional[str],
        *,
        room: int = 0,
    ) -> None:
        """Make ready for bytes of *address* from *start* on; what stands behind it goes.

        Args:
            address, start, total, validator: see ``Answer``.
            room: up to here nothing goes: it is the file's tail that stands there.
        """
        self.close()
        self.address, self.total, self.validator = address, total, validator
        self.size, self._room = start, room
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
        self._stream = os.fdopen(os.open(str(self.path), flags, 0o666), "r+b")
        self._stream.truncate(max(start, room))
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
                try:
                    self._sync(stream)
                except OSError as error:
                    if error.errno in NO_ROOM:
                        self._make_room_for_note(stream)
                    raise

    def reach(self, size: int) -> None:
        """Take up what stands behind: all bytes before *size* are there, and on the disk."""
        self.size = self.synced = size
        self._write_note()

    def discard(self) -> None:
        """Begin anew."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        self._clean_up()
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()
        self.size = self.synced = 0
        self.total = self.validator = None
        self.address = ""

    def finish(self, target: Path) -> None:
        """Give the part its final name."""
        self.path.replace(target)
        self._clean_up()

    def _clean_up(self) -> None:
        # A kill while a note is written leaves its temporary file.
        unfinished = self.path.parent.glob(f".{glob.escape(self.path.name)}*.tmp")
        for path in (self._note, note_of(self.path), *unfinished):
            with contextlib.suppress(FileNotFoundError):
                path.unlink()

    def _sync(self, stream: Optional[BinaryIO] = None) -> None:
        stream = stream or self._stream
        assert stream is not None
        stream.flush()
        os.fsync(stream.fileno())
        self.synced = self.size
        self._write_note()

    def _make_room_for_note(self, stream: BinaryIO) -> None:
        """Give up the last bytes on a full disk: without the note all of them would be lost."""
        there = os.fstat(stream.fileno()).st_size
        kept = min(self.size, there) - _ROOM_FOR_NOTE
        if kept <= self._noted or self._room:
            return
        os.ftruncate(stream.fileno(), kept)
        os.fsync(stream.fileno())
        self.size = self.synced = kept
        self._write_note()

    def _write_note(self) -> None:
        note = {
            "address": self.address,
            "validator": self.validator,
            "size": self.size,
            "total": self.total,
        }
        write_json(self._note, note)
        self._noted = self.size

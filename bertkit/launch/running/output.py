"""mpirun's output, taken apart into what each rank has said.

mpirun marks whose words follow: ``[1,0]<stdout>:``. Open MPI 4.1 writes what it reads at once, so
that a long line is cut, gets a mark in its middle, and another rank's words may stand between: a
rank's words are what follows its marks, wherever these are.
"""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Dict, Iterator, Tuple

_MARK = re.compile(rb"\[[^\[\]\s]{1,100},(\d+)\]<std(?:out|err)>:")
_LONGEST_MARK = 128
_AT_ONCE = 1 << 20


class Output:
    """What ranks say, as a growing file has it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = 0
        self._rest = b""  # what may be the start of a mark
        self._rank = b""  # whose words are being read; empty: there are no marks
        self._lines: Dict[bytes, bytes] = {}  # of each rank, the line that is not whole yet

    def lines(self, *, to_the_end: bool = False) -> Iterator[bytes]:
        """The lines that have become whole since the last call; none while there is no file.

        Args:
            to_the_end: nothing follows: also those that are not whole.
        """
        with contextlib.suppress(FileNotFoundError), self._path.open("rb") as stream:
            stream.seek(self._position)
            for fresh in iter(lambda: stream.read(_AT_ONCE), b""):
                self._position += len(fresh)
                yield from self._whole(fresh)
        if to_the_end:
            rest, self._rest = self._rest, b""
            yield from self._whole(rest + b"\n")
            yield from filter(None, self._lines.values())

    def _whole(self, fresh: bytes) -> Iterator[bytes]:
        for rank, words in self._pieces(self._rest + fresh):
            *whole, rest = (self._lines.get(rank, b"") + words).split(b"\n")
            self._rank, self._lines[rank] = rank, rest
            yield from (line.rstrip(b"\r") for line in whole)

    def _pieces(self, text: bytes) -> Iterator[Tuple[bytes, bytes]]:
        """Whose words, and the words."""
        maybe = text.rfind(b"[", max(0, len(text) - _LONGEST_MARK))
        self._rest = b""
        if maybe >= 0 and not _MARK.match(text, maybe) and b"\n" not in text[maybe:]:
            text, self._rest = text[:maybe], text[maybe:]
        first, *others = _MARK.split(text)
        yield self._rank, first
        yield from zip(others[::2], others[1::2])

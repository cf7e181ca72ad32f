"""The frames of TFRecord files: what stands around each record's content.

A file is a row of frames: length (8 bytes, little endian), masked CRC-32C of the length (4),
content, masked CRC-32C of the content (4); see TensorFlow's ``core/lib/io/record_writer.h``.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO, Dict, Iterable, Iterator, List, NamedTuple

from bertkit.errors import DataDamaged

_LENGTH, _SUM = struct.Struct("<Q"), struct.Struct("<I")
_HEADER = struct.Struct("<QI")
_MASK_DELTA = 0xA282EAD8
_WORD = 0xFFFFFFFF

#: bytes of a frame before and after the content
BEFORE, AFTER = _HEADER.size, _SUM.size

#: A frame longer than this is taken for damage: one record of 512 tokens has about 4 kB.
LONGEST_RECORD = 64 << 20

_PIECE = 1 << 20


class Frames(NamedTuple):
    """Whole records of one file, one after another.

    Attributes:
        buffer: bytes of the file; behind the last whole record there may be a part of the next.
        edges: where each record's frame begins in the buffer, and where the last one ends.
        first: the number of the first record in the file, from 1.
    """

    buffer: bytes
    edges: List[int]
    first: int

    def contents(self) -> Iterator[bytes]:
        """The records' contents."""
        for start, end in zip(self.edges, self.edges[1:]):
            yield self.buffer[start + BEFORE : end - AFTER]


def masked_crc(content: bytes) -> int:
    """TensorFlow's masked CRC-32C: rotated right by 15 bits, plus a constant."""
    from google_crc32c import value

    return _masked(value(content))


def framed(contents: Iterable[bytes]) -> Iterator[bytes]:
    """Each record as it stands in the file."""
    from google_crc32c import value

    headers: Dict[int, bytes] = {}  # most records of a file have one of a few lengths
    for content in contents:
        header = headers.get(len(content))
        if header is None:
            length = _LENGTH.pack(len(content))
            header = headers[len(content)] = length + _SUM.pack(_masked(value(length)))
        yield b"".join((header, content, _SUM.pack(_masked(value(content)))))


def read_frames(stream: BinaryIO, path: Path) -> Iterator[Frames]:
    """The records of an open file, about a megabyte at a time.

    Raises:
        DataDamaged: a sum is wrong or the file ends within a record; names file and record.
    """
    rest, first = b"", 1
    while True:
        piece = stream.read(_PIECE)
        if not piece:
            break
        frames = whole_frames(rest + piece, path, first)
        if len(frames.edges) > 1:
            yield frames
        rest = frames.buffer[frames.edges[-1] :]
        first += len(frames.edges) - 1
    if rest:
        where = "'s length" if len(rest) < BEFORE else ""
        raise damaged(path, first, f"the file ends within the record{where}")


def whole_frames(buffer: bytes, path: Path, first: int) -> Frames:
    """The whole records at the beginning of *buffer*.

    Args:
        buffer: bytes of the file, from a record's beginning on.
        path: the file's name, for errors.
        first: the number of the first record in the file, from 1.

    Raises:
        DataDamaged: a sum is wrong.
    """
    from google_crc32c import value

    edges = [0]
    position, end = 0, len(buffer)
    while position + BEFORE <= end:
        length, length_sum = _HEADER.unpack_from(buffer, position)
        if _masked(value(buffer[position : position + _LENGTH.size])) != length_sum:
            raise damaged(
                path, first + len(edges) - 1, "the checksum of the record's length is wrong"
            )
        if length > LONGEST_RECORD:
            raise damaged(path, first + len(edges) - 1, f"a record of {length} bytes cannot be")
        content = position + BEFORE
        position = content + length + AFTER
        if position > end:
            break
        (content_sum,) = _SUM.unpack_from(buffer, position - AFTER)
        if _masked(value(buffer[content : position - AFTER])) != content_sum:
            raise damaged(
                path, first + len(edges) - 1, "the checksum of the record's content is wrong"
            )
        edges.append(position)
    return Frames(buffer, edges, first)


def damaged(path: Path, number: int, reason: str) -> DataDamaged:
    """The error for record *number* (from 1) of a file."""
    return DataDamaged(
        f"a record of training data is damaged: {reason}",
        where=f"{path}, record {number}",
        next_step="remove this file and run the `bertkit data` command that made it again",
    )


def _masked(crc: int) -> int:
    return (((crc >> 15) | (crc << 17)) + _MASK_DELTA) & _WORD

"""Reading the index of a TensorFlow checkpoint without TensorFlow.

A checkpoint is a "tensor bundle": ``PREFIX.index`` maps each tensor's name to its shape and to
where its bytes lie in ``PREFIX.data-SSSSS-of-NNNNN``. The index is a sorted string table in
LevelDB's format; its values are the messages of ``tensorflow/core/protobuf/tensor_bundle.proto``.
With it a half-written checkpoint, or one of another model, is found before any rank starts.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterator, List, Tuple, Union

from bertkit.launch.checks import crc32c

_FOOTER_BYTES = 48
_MAGIC = 0xDB4775248B80FB57  # leveldb: table/format.h
_BLOCK_TRAILER_BYTES = 5  # one byte of compression type, four of checksum
_MOST_BYTES = 64 << 20  # the index of BERT Large has some 100 kB


class NotABundle(ValueError):
    """The file is not a whole index of a checkpoint."""


@dataclass(frozen=True)
class Tensor:
    """Where one tensor lies: the shard's number, and its extent in bytes."""

    shape: Tuple[int, ...]
    shard: int
    offset: int
    size: int


@dataclass(frozen=True)
class Bundle:
    """The content of an index."""

    shards: int
    tensors: Dict[str, Tensor]

    def shard_sizes(self) -> List[int]:
        """The least size in bytes that each data file must have."""
        least = [0] * self.shards
        for tensor in self.tensors.values():
            if tensor.shard >= self.shards:
                raise NotABundle(f"a tensor lies in shard {tensor.shard} of {self.shards}")
            least[tensor.shard] = max(least[tensor.shard], tensor.offset + tensor.size)
        return least


def read_index(path: Path) -> Bundle:
    """Read ``PREFIX.index``.

    Raises:
        NotABundle: it is cut off, damaged or something else.
        OSError: it cannot be read.
    """
    if path.stat().st_size > _MOST_BYTES:
        raise NotABundle("far too large for an index")
    try:
        return _parse(path.read_bytes())
    except (IndexError, struct.error, UnicodeDecodeError) as error:
        raise NotABundle(f"cut off or damaged ({error})") from None


def _parse(raw: bytes) -> Bundle:
    if len(raw) < _FOOTER_BYTES or struct.unpack("<Q", raw[-8:])[0] != _MAGIC:
        raise NotABundle("the end of the file is not that of an index: cut off?")
    footer = raw[-_FOOTER_BYTES:]
    position = 0
    handles = []
    for _ in range(4):  # offset and size of the meta index, then of the index
        number, position = varint(footer, position)
        handles.append(number)
    shards = 0
    tensors = {}
    for _, handle in _entries(_block(raw, handles[2], handles[3])):
        offset, after = varint(handle, 0)
        size, _ = varint(handle, after)
        for key, value in _entries(_block(raw, offset, size)):
            if key == b"":
                shards = _header(value)
            else:
                tensors[key.decode("utf-8")] = _tensor(value)
    if not shards or not tensors:
        raise NotABundle("names no tensors")
    return Bundle(shards, tensors)


def _block(raw: bytes, offset: int, size: int) -> bytes:
    if offset + size + _BLOCK_TRAILER_BYTES > len(raw):
        raise NotABundle("points beyond its own end")
    if raw[offset + size] != 0:
        raise NotABundle("is compressed, which TensorFlow never does")
    (stored,) = struct.unpack_from("<I", raw, offset + size + 1)
    if crc32c.masked(raw[offset : offset + size + 1]) != stored:
        raise NotABundle("its checksum is wrong: damaged")
    return raw[offset : offset + size]


def _entries(block: bytes) -> Iterator[Tuple[bytes, bytes]]:
    """The key-value pairs of a block; each key shares a prefix with the one before it."""
    (restarts,) = struct.unpack("<I", block[-4:])
    end = len(block) - 4 * (restarts + 1)
    position, key = 0, b""
    while position < end:
        shared, position = varint(block, position)
        fresh, position = varint(block, position)
        length, position = varint(block, position)
        key = key[:shared] + block[position : position + fresh]
        position += fresh
        yield key, block[position : position + length]
        position += length


def varint(data: bytes, position: int) -> Tuple[int, int]:
    """The number of variable length at *position*, and the position after it.

    Raises:
        NotABundle: it does not end.
        IndexError: the data ends first.
    """
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
        if shift > 63:
            raise NotABundle("holds a number that never ends")


def fields(message: bytes) -> Iterator[Tuple[int, Union[int, bytes]]]:
    """The fields of a protocol buffer: numbers, and byte strings for nested messages.

    Raises:
        NotABundle: this is no such message.
        IndexError: it is cut off.
    """
    position = 0
    while position < len(message):
        tag, position = varint(message, position)
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            value, position = varint(message, position)
            yield number, value
        elif kind == 2:
            length, position = varint(message, position)
            if position + length > len(message):
                raise NotABundle("holds a field that is longer than itself")
            yield number, message[position : position + length]
            position += length
        elif kind in (1, 5):
            position += 8 if kind == 1 else 4
        else:
            raise NotABundle(f"holds a field of kind {kind}")


def _header(message: bytes) -> int:
    # BundleHeaderProto: num_shards = 1
    return next((value for number, value in fields(message)
                 if number == 1 and isinstance(value, int)), 0)  # fmt: skip


def _tensor(message: bytes) -> Tensor:
    # BundleEntryProto: shape = 2, shard_id = 3, offset = 4, size = 5; zeros are left out.
    shape: Tuple[int, ...] = ()
    numbers = {3: 0, 4: 0, 5: 0}
    for number, value in fields(message):
        if number == 2 and isinstance(value, bytes):
            shape = tuple(_dimensions(value))
        elif number in numbers and isinstance(value, int):
            numbers[number] = value
    return Tensor(shape, numbers[3], numbers[4], numbers[5])


def _dimensions(message: bytes) -> Iterator[int]:
    # TensorShapeProto: dim = 2, each with size = 1
    for number, value in fields(message):
        if number == 2 and isinstance(value, bytes):
            yield next((size for field, size in fields(value)
                        if field == 1 and isinstance(size, int)), 0)  # fmt: skip

"""TFRecord files of ``tf.train.Example`` messages, written and read without TensorFlow.

A record is one protobuf message whose schema is fixed, so that a few lines encode it; see
TensorFlow's ``core/example/example.proto`` and ``feature.proto``. What stands around it is in
``frames.py``.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Dict, Iterable, Iterator, List, Mapping, Sequence, Tuple, Union

from bertkit.data.records.frames import framed, read_frames

Values = Union[Sequence[int], Sequence[float]]

FLOAT_LIST, INT64_LIST = 2, 3


def varint(number: int) -> bytes:
    """An integer as protobuf writes it."""
    if number < 0:
        number += 1 << 64
    pieces = bytearray()
    while number > 0x7F:
        pieces.append(number & 0x7F | 0x80)
        number >>= 7
    pieces.append(number)
    return bytes(pieces)


# Token ids and positions are nearly all that is ever written: a table makes encoding a join.
_SMALL = [varint(number) for number in range(1 << 16)]


def field(number: int, content: bytes) -> bytes:
    """A field of a message whose value is bytes or a message."""
    return _SMALL[number << 3 | 2] + varint(len(content)) + content


def encode_example(features: Mapping[str, Values]) -> bytes:
    """A serialized ``tf.train.Example``.

    Args:
        features: name -> ints (int64) or floats (float32); the order given is the order written.
    """
    entries = []
    for name, values in features.items():
        if values and isinstance(values[0], float):
            kind, content = FLOAT_LIST, struct.pack(f"<{len(values)}f", *values)
        else:
            kind = INT64_LIST
            content = b"".join(
                [_SMALL[v] if 0 <= v < 65536 else varint(v) for v in values]  # type: ignore
            )
        feature = field(kind, field(1, content))
        entries.append(field(1, field(1, name.encode("utf-8")) + field(2, feature)))
    return field(1, b"".join(entries))


def write_records(path: Path, contents: Iterable[bytes]) -> int:
    """Write a file of records and bring it to the disk; gives the number of records.

    The name is not atomic: stages write below a directory that is renamed when it is whole.
    """
    count = 0
    with path.open("wb") as stream:
        for record in framed(contents):
            stream.write(record)
            count += 1
        stream.flush()
        os.fsync(stream.fileno())
    return count


def read_records(path: Path) -> Iterator[bytes]:
    """The contents of a file's records, each checked against its sums.

    Raises:
        DataDamaged: a sum is wrong or the file ends within a record; names file and record.
    """
    with path.open("rb") as stream:
        for frames in read_frames(stream, path):
            yield from frames.contents()


def decode_example(content: bytes) -> Dict[str, List[float]]:
    """The features of a serialized ``tf.train.Example``: name -> values.

    Takes ints and floats, packed or not, and fields in any order, as other writers may put them.

    Raises:
        ValueError: this is no Example of ints and floats.
    """
    features: Dict[str, List[float]] = {}
    for number, _, value in _fields(content):
        if number != 1:
            continue
        for number_of_entry, _, entry in _fields(_bytes(value)):
            if number_of_entry == 1:
                name, values = _map_entry(_bytes(entry))
                if name in features:
                    raise ValueError(f"feature {name!r} twice")
                features[name] = values
    return features


def _map_entry(content: bytes) -> Tuple[str, List[float]]:
    name, values = "", []  # type: Tuple[str, List[float]]
    for number, _, value in _fields(content):
        if number == 1:
            name = _bytes(value).decode("utf-8")
        elif number == 2:
            for kind, _, listed in _fields(_bytes(value)):
                if kind == INT64_LIST:
                    values.extend(_ints(_bytes(listed)))
                elif kind == FLOAT_LIST:
                    values.extend(_floats(_bytes(listed)))
                else:
                    raise ValueError(f"feature {name!r} is neither ints nor floats")
    return name, values


def _ints(content: bytes) -> List[int]:
    found: List[int] = []
    for number, wire, value in _fields(content):
        if number != 1:
            raise ValueError("not a list of ints")
        if wire == 0:
            found.append(_signed(value))  # type: ignore[arg-type]
            continue
        packed = _bytes(value)
        if packed.isascii():  # no byte has its top bit: one byte, one number
            found.extend(packed)
            continue
        position = 0
        while position < len(packed):
            unsigned, position = _read_varint(packed, position)
            found.append(_signed(unsigned))
    return found


def _floats(content: bytes) -> List[float]:
    found: List[float] = []
    for number, _, value in _fields(content):
        packed = _bytes(value)
        if number != 1 or len(packed) % 4:
            raise ValueError("not a list of floats")
        found.extend(struct.unpack(f"<{len(packed) // 4}f", packed))
    return found


def _signed(number: int) -> int:
    return number - (1 << 64) if number >= 1 << 63 else number


def _bytes(value: Union[int, bytes]) -> bytes:
    if isinstance(value, int):
        raise ValueError("a number where a message was expected")
    return value


def _read_varint(content: bytes, position: int) -> Tuple[int, int]:
    number = shift = 0
    while True:
        if position >= len(content) or shift > 63:
            raise ValueError("a number does not end")
        byte = content[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, position
        shift += 7


def _fields(content: bytes) -> Iterator[Tuple[int, int, Union[int, bytes]]]:
    """The fields of a message: number, wire type, value (an int, or the bytes)."""
    position, end = 0, len(content)
    while position < end:
        key, position = _read_varint(content, position)
        wire = key & 7
        if wire == 0:
            value, position = _read_varint(content, position)
            yield key >> 3, wire, value
            continue
        if wire == 2:
            length, position = _read_varint(content, position)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            raise ValueError(f"wire type {wire}")
        if position + length > end:
            raise ValueError("a field is longer than its message")
        yield key >> 3, wire, content[position : position + length]
        position += length

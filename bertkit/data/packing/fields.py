"""Where the values of many records stand in their bytes, found for all of them at once.

Millions of records have the same few features. Instead of decoding one after another, numpy walks
through a thousand of them in step: at each step it reads one byte of every record. What stays are
places in the buffer; the values themselves are copied later as they stand, without being decoded.

This understands what protobuf's writers write: packed values, a feature's name before its values.
Anything else is marked, and then read by ``tfrecord.decode_example``, which takes all.
"""

from __future__ import annotations

from typing import Dict, NamedTuple, Tuple

import numpy as np

from bertkit.data.records.frames import AFTER, BEFORE, Frames
from bertkit.data.records.varints import Array

_INTS, _FLOATS = 0x1A, 0x12  # the tags of Feature.int64_list and Feature.float_list

# The tags of these messages' only or first field (1), of a feature's values (2): wire type 2.
_FIRST, _SECOND = 0x0A, 0x12

UNPACKED = (
    "input_ids",
    "input_mask",
    "segment_ids",
    "masked_lm_positions",
    "masked_lm_ids",
    "masked_lm_weights",
    "next_sentence_labels",
)
PACKED = (*UNPACKED, "positions", "next_sentence_positions", "next_sentence_weights")


class Places(NamedTuple):
    """The values of some records' features in one buffer.

    Attributes:
        starts: int64 [records, features]: where a feature's values begin.
        ends: int64 [records, features]: where they end.
        understood: bool [records]: false where a record is written otherwise, or is none.
    """

    starts: Array
    ends: Array
    understood: Array


def find_fields(frames: Frames, names: Tuple[str, ...]) -> Places:
    """Find the values of the features *names*, which must be all that the records have."""
    edges = np.array(frames.edges, dtype=np.int64)
    walk = _Walk(frames.buffer, edges[:-1] + BEFORE)
    content_ends = edges[1:] - AFTER
    starts = np.zeros((len(content_ends), len(names)), dtype=np.int64)
    ends = np.zeros_like(starts)
    table = _by_length_and_letter(names)
    everyone = np.arange(len(content_ends))

    walk.expect(_FIRST)
    walk.expect_end(walk.varint(), content_ends)
    for _ in names:
        walk.expect(_FIRST)
        entry_ends = walk.varint() + walk.at
        walk.expect(_FIRST)
        length = walk.byte()
        kind = table[length, walk.peek()]
        walk.expect_names(kind, names)
        walk.at = walk.at + length
        walk.expect(_SECOND)
        walk.expect_end(walk.varint(), entry_ends)
        floats = np.array([name.endswith("_weights") for name in names])[kind]
        walk.expect(np.where(floats, _FLOATS, _INTS))
        walk.expect_end(walk.varint(), entry_ends)
        walk.expect(_FIRST)
        walk.expect_end(walk.varint(), entry_ends)
        starts[everyone, kind], ends[everyone, kind] = walk.at, entry_ends
        walk.at = entry_ends
    walk.understood &= walk.at == content_ends
    walk.understood &= (starts > 0).all(axis=1)  # each feature once
    return Places(starts, ends, walk.understood)


class _Walk:
    """A place in each record, and whether all so far was as expected."""

    def __init__(self, buffer: bytes, at: Array) -> None:
        self._bytes = np.frombuffer(buffer, dtype=np.uint8)
        self._last = len(buffer) - 1
        self.at = at
        self.understood = np.ones(len(at), dtype=bool)

    def peek(self) -> Array:
        # A record that is none can lead anywhere; it is not understood then, and harms nobody.
        return self._bytes[np.minimum(self.at, self._last)]

    def byte(self) -> Array:
        found = self.peek()
        self.at = self.at + 1
        return found

    def expect(self, tag: Array) -> None:
        self.understood &= self.byte() == tag

    def expect_end(self, length: Array, ends: Array) -> None:
        self.understood &= self.at + length == ends

    def varint(self) -> Array:
        """A length: up to three bytes, which is two million."""
        found = self.byte().astype(np.int64)
        shift = 7
        more = found >= 0x80
        while more.any():
            if shift > 14:
                self.understood &= ~more
                return np.where(more, 0, found)
            following = self.peek().astype(np.int64)
            self.at = self.at + more
            found = np.where(more, (found & ((1 << shift) - 1)) | following << shift, found)
            more = more & (following >= 0x80)
            shift += 7
        return found

    def expect_names(self, kind: Array, names: Tuple[str, ...]) -> None:
        """The name that begins here must be that of the feature *kind*."""
        for number in np.unique(kind):
            name = np.frombuffer(names[number].encode("ascii"), dtype=np.uint8)
            rows = np.flatnonzero(kind == number)
            places = np.minimum(self.at[rows, None] + np.arange(len(name)), self._last)
            self.understood[rows] &= (self._bytes[places] == name).all(axis=1)


def _by_length_and_letter(names: Tuple[str, ...]) -> Array:
    """A guess at the feature by its name's length and first byte; a wrong one is noticed later."""
    table = np.zeros((256, 256), dtype=np.int64)
    known: Dict[Tuple[int, int], str] = {}
    for number, name in enumerate(names):
        key = (len(name), ord(name[0]))
        assert key not in known
        known[key] = name
        table[key] = number
    return table

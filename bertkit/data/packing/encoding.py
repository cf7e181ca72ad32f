"""Packs as records: the features that upstream's trainer reads, from sequences as they stand."""

from __future__ import annotations

import struct
from typing import Dict, List, NamedTuple, Sequence

import numpy as np

from bertkit.data.packing.sequences import Limits
from bertkit.data.packing.strategies import MOST_SEQUENCES
from bertkit.data.records.features import header as feature_header
from bertkit.data.records.tfrecord import varint
from bertkit.data.records.varints import encode_varints

_INDICES = range(1, MOST_SEQUENCES + 1)


class Member(NamedTuple):
    """A sequence in its pack; bytes are varints without padding."""

    ids: bytes
    segments: bytes
    positions: bytes  # masked_lm_positions, counted from the start of the pack
    predicted: bytes
    predictions: int
    label: int


class PackEncoder:
    """Writes packs of sequences that obey *limits*, which are those of one unpacked record."""

    def __init__(self, limits: Limits) -> None:
        self._tokens = limits.tokens
        self._slots = limits.predictions + MOST_SEQUENCES
        self._zeros = bytes(4 * max(self._tokens, self._slots))
        counted, edges = encode_varints(np.arange(self._tokens))
        self._positions = [counted[:edge] for edge in edges.tolist()]
        self._begins = [varint(number) for number in range(self._tokens)]
        self._weights = [struct.pack("<f", index) for index in range(MOST_SEQUENCES + 1)]
        self._headers: Dict[str, Dict[int, bytes]] = {}

    def encode(self, members: Sequence[Member]) -> bytes:
        """The record of one pack of one to three sequences."""
        lengths = [len(member.segments) for member in members]
        marks = list(zip(_INDICES, lengths, members))
        padding = self._zeros[: self._tokens - sum(lengths)]
        unused = self._zeros[: self._slots - sum([member.predictions for member in members])]
        absent = self._zeros[: MOST_SEQUENCES - len(members)]
        begins = [self._begins[sum(lengths[:index])] for index in range(len(members))]
        pieces: List[bytes] = []
        self._add(pieces, "input_ids", [*[m.ids for m in members], padding])
        self._add(pieces, "input_mask", [*[b"%c" % index * n for index, n, _ in marks], padding])
        self._add(pieces, "segment_ids", [*[m.segments for m in members], padding])
        self._add(pieces, "positions", [*[self._positions[n] for n in lengths], padding])
        self._add(pieces, "masked_lm_positions", [*[m.positions for m in members], unused])
        self._add(pieces, "masked_lm_ids", [*[m.predicted for m in members], unused])
        self._add(
            pieces,
            "masked_lm_weights",
            [*[self._weights[index] * m.predictions for index, _, m in marks], unused * 4],
        )
        self._add(pieces, "next_sentence_positions", [*begins, absent])
        self._add(pieces, "next_sentence_labels", [*[b"%c" % m.label for m in members], absent])
        self._add(pieces, "next_sentence_weights", [self._weights[1] * len(members), absent * 4])
        entries = b"".join(pieces)
        return b"\x0a" + varint(len(entries)) + entries

    def _add(self, pieces: List[bytes], name: str, values: List[bytes]) -> None:
        content = b"".join(values)
        headers = self._headers.setdefault(name, {})
        header = headers.get(len(content))
        if header is None:
            header = headers[len(content)] = feature_header(name, len(content))
        pieces.append(header)
        pieces.append(content)

"""The sequences that packs are made of, each pack checked."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, List, NamedTuple, Sequence

import numpy as np

from bertkit.data.packing.fields import PACKED, find_fields
from bertkit.data.packing.sequences import Limits, Sequences
from bertkit.data.packing.strategies import MOST_SEQUENCES
from bertkit.data.records.frames import Frames, damaged, framed
from bertkit.data.records.tfrecord import decode_example, encode_example
from bertkit.data.records.varints import Array, decode_varints, encode_varints


class _Split(NamedTuple):
    """The sequences of one pack."""

    ids: List[bytes]
    segments: List[bytes]
    positions: List[Array]
    predicted: List[bytes]
    labels: List[int]


class PackReader:
    """Reads packs whose sequences have at most so many tokens and predictions."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._slots = limits.predictions + MOST_SEQUENCES
        counted, edges = encode_varints(np.arange(limits.tokens))
        self._positions = [counted[:edge] for edge in edges.tolist()]

    def read(self, frames: Frames, path: Path) -> Sequences:
        """The sequences of some packs.

        Raises:
            DataDamaged: a pack is not as upstream's trainer wants it; names file, record, reason.
        """
        places = find_fields(frames, PACKED)
        splits = []
        for number, (understood, starts, ends) in enumerate(
            zip(places.understood.tolist(), places.starts.tolist(), places.ends.tolist())
        ):
            try:
                if understood:
                    values = [frames.buffer[a:b] for a, b in zip(starts, ends)]
                else:
                    edges = frames.edges[number : number + 2]
                    values = _rewritten(next(Frames(frames.buffer, edges, 1).contents()))
                splits.append(self._split(dict(zip(PACKED, values))))
            except ValueError as error:
                raise damaged(path, frames.first + number, str(error)) from None
        return _gathered(splits)

    def _split(self, fields: Dict[str, bytes]) -> _Split:
        tokens, slots = self.limits.tokens, self._slots
        for name, count in (
            ("input_mask", tokens), ("segment_ids", tokens), ("next_sentence_labels", 3),
            ("masked_lm_weights", 4 * slots), ("next_sentence_weights", 4 * MOST_SEQUENCES),
        ):  # fmt: skip
            if len(fields[name]) != count:
                raise ValueError(f"{name} has not as many values, or larger ones, than it should")
        lengths = _lengths(fields["input_mask"])
        members = len(lengths)
        padding = tokens - sum(lengths)
        wanted = b"".join(self._positions[length] for length in lengths) + bytes(padding)
        if fields["positions"] != wanted:
            raise ValueError("positions do not begin again with each sequence")
        segments = fields["segment_ids"]
        if segments.translate(None, b"\0\1") or any(segments[tokens - padding :]):
            raise ValueError("segment_ids has another number than 0 and 1, or in the padding")
        begins = np.cumsum([0, *lengths[:-1]])
        _require_begins(fields, begins, members)
        counts = _counts(fields["masked_lm_weights"], members)
        if sum(counts) > slots:
            raise ValueError("there are more predictions than places for them")
        return _Split(
            _cut("input_ids", fields["input_ids"], lengths, tokens),
            [segments[a : a + n] for a, n in zip(begins.tolist(), lengths)],
            _relative(fields["masked_lm_positions"], counts, lengths, slots),
            _cut("masked_lm_ids", fields["masked_lm_ids"], counts, slots),
            list(fields["next_sentence_labels"][:members]),
        )


def _lengths(mask: bytes) -> List[int]:
    lengths = [mask.count(index) for index in range(1, MOST_SEQUENCES + 1)]
    if mask.rstrip(b"\0") != b"".join(
        bytes([index]) * length for index, length in enumerate(lengths, start=1)
    ):
        raise ValueError("input_mask is not ones, twos, threes and then zeros")
    members = sum(1 for length in lengths if length)
    if not members or not all(lengths[:members]):
        raise ValueError("input_mask leaves out a sequence")
    return lengths[:members]


def _require_begins(fields: Dict[str, bytes], begins: Array, members: int) -> None:
    absent = MOST_SEQUENCES - members
    places = decode_varints(fields["next_sentence_positions"])
    if places.tolist() != [*begins.tolist(), *[0] * absent]:
        raise ValueError("next_sentence_positions are not where the sequences begin")
    labels = fields["next_sentence_labels"]
    if labels.translate(None, b"\0\1") or any(labels[members:]):
        raise ValueError("next_sentence_labels is neither 0 nor 1, or has one too many")
    weights = np.frombuffer(fields["next_sentence_weights"], dtype="<f4").tolist()
    if weights != [1.0] * members + [0.0] * absent:
        raise ValueError("next_sentence_weights is not one for each sequence")


def _counts(weights: bytes, members: int) -> List[int]:
    found = np.frombuffer(weights, dtype="<f4")
    counts = [int((found == index).sum()) for index in range(1, members + 1)]
    wanted = np.repeat(np.arange(1, members + 1), counts)
    if found[: len(wanted)].tolist() != wanted.tolist() or found[len(wanted) :].any():
        raise ValueError("masked_lm_weights is not ones, twos, threes and then zeros")
    return counts


def _cut(name: str, packed: bytes, counts: Sequence[int], total: int) -> List[bytes]:
    """Varints cut into groups; those behind must be zero."""
    last = np.flatnonzero(np.frombuffer(packed, dtype=np.uint8) < 0x80)
    if len(last) != total:
        raise ValueError(f"{name} has {len(last)} values, not {total}")
    edges = [0, *(last[np.cumsum(counts) - 1] + 1).tolist()] if len(counts) else [0]
    for place, count in enumerate(counts):
        if not count:  # nothing of this one: it ends where it begins
            edges[place + 1] = edges[place]
    if any(packed[edges[-1] :]):
        raise ValueError(f"{name} is not zero in the padding")
    return [packed[a:b] for a, b in zip(edges, edges[1:])]


def _relative(packed: bytes, counts: List[int], lengths: List[int], total: int) -> List[Array]:
    """masked_lm_positions counted from the start of each sequence."""
    places = decode_varints(packed)
    if len(places) != total or places[sum(counts) :].any():
        raise ValueError(f"masked_lm_positions has not {total} values, or not zeros at the end")
    groups, begin, done = [], 0, 0
    for count, length in zip(counts, lengths):
        group = places[done : done + count] - begin
        if ((group < 0) | (group >= length)).any():
            raise ValueError("masked_lm_positions leave their sequence")
        groups.append(group)
        begin, done = begin + length, done + count
    return groups


def _rewritten(content: bytes) -> List[bytes]:
    """The values of a record that is written in an unusual way."""
    example = decode_example(content)
    if set(example) != set(PACKED):
        raise ValueError(
            f"it has {', '.join(sorted(example))}; wanted are {', '.join(sorted(PACKED))}"
        )
    frame = next(framed([encode_example({name: example[name] for name in PACKED})]))
    places = find_fields(Frames(frame, [0, len(frame)], 1), PACKED)
    if not places.understood[0]:
        raise ValueError("it is not as upstream writes it")
    return [frame[a:b] for a, b in zip(places.starts[0].tolist(), places.ends[0].tolist())]


def _gathered(splits: List[_Split]) -> Sequences:
    ids = [value for split in splits for value in split.ids]
    positions = [value for split in splits for value in split.positions]
    return Sequences(
        np.array([len(value) for split in splits for value in split.segments], dtype=np.int64),
        np.array([len(value) for value in positions], dtype=np.int64),
        ids,
        [value for split in splits for value in split.segments],
        np.concatenate(positions),
        [value for split in splits for value in split.predicted],
        np.array([value for split in splits for value in split.labels], dtype=np.int64),
    )

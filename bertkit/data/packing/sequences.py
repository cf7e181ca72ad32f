"""The sequences of unpacked records, without their padding."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from bertkit.data.packing.fields import UNPACKED, find_fields
from bertkit.data.records.frames import Frames, damaged, framed
from bertkit.data.records.tfrecord import decode_example, encode_example
from bertkit.data.records.varints import Array, decode_varints, sums_of_groups
from bertkit.errors import DataDamaged

#: bytes of a varint that are not its last one
_NOT_LAST = bytes(range(0x80, 0x100))
_ONE = struct.pack("<f", 1.0)

# Of UNPACKED those whose values have one size: input_mask, segment_ids, weights, the label.
_FIXED = [1, 2, 5, 6]

#: input_ids, segment_ids, masked_lm_positions, masked_lm_ids (as varints), next_sentence_labels
_Values = Tuple[bytes, bytes, bytes, bytes, int]


class Limits(NamedTuple):
    """What one record holds: tokens and predictions (upstream's max_seq_length and so on)."""

    tokens: int
    predictions: int


class Sequences(NamedTuple):
    """Some sequences. Bytes are varints, as they stand in records; there is no padding.

    Attributes:
        lengths: int64 [sequences]: tokens.
        predictions: int64 [sequences]: masked tokens.
        ids: each one's input_ids.
        segments: each one's segment_ids.
        positions: int64 [sum of predictions]: masked_lm_positions of all, one after another.
        predicted: each one's masked_lm_ids.
        labels: int64 [sequences]: next_sentence_labels.
    """

    lengths: Array
    predictions: Array
    ids: List[bytes]
    segments: List[bytes]
    positions: Array
    predicted: List[bytes]
    labels: Array


class Reader:
    """Reads records whose sequences have at most so many tokens and predictions."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        tokens, predictions = limits
        self._padding = [bytes(n) for n in range(max(limits) + 1)]
        self._masks = {n: b"\1" * n + bytes(tokens - n) for n in range(1, tokens + 1)}
        self._weights = {n: _ONE * n + bytes(4 * (predictions - n)) for n in range(predictions + 1)}

    def read(self, frames: Frames, path: Path) -> Sequences:
        """The sequences of some records, each checked.

        Raises:
            DataDamaged: a record is not as upstream writes it; names file, record and reason.
        """
        buffer = frames.buffer
        places = find_fields(frames, UNPACKED)
        found: List[_Values] = []
        for number, (understood, starts, ends) in enumerate(
            zip(places.understood.tolist(), places.starts.tolist(), places.ends.tolist())
        ):
            values = None
            if understood:
                values = self._checked([buffer[a:b] for a, b in zip(starts, ends)])
            if values is None:
                content = next(Frames(buffer, frames.edges[number : number + 2], 1).contents())
                values = self._read_slowly(content, path, frames.first + number)
            found.append(values)
        return self._gathered(found, frames.first, path)

    def again(self, frames: Frames, lengths: Array, predictions: Array) -> Optional[Sequences]:
        """Sequences that were checked when they were indexed, only taken apart.

        Args:
            frames: the records.
            lengths: int64 [records]: the tokens that they had.
            predictions: int64 [records]: the masked tokens that they had.

        Returns:
            None where they do not have these any more, or are written in an unusual way.
        """
        places = find_fields(frames, UNPACKED)
        starts, ends = places.starts, places.ends
        tokens, most = self.limits
        if len(starts) != len(lengths) or not places.understood.all():
            return None
        if ((ends - starts)[:, _FIXED] != [tokens, tokens, 4 * most, 1]).any():
            return None
        values = np.frombuffer(frames.buffer, dtype=np.uint8)
        mask = values[starts[:, 1, None] + np.arange(tokens)]
        if (mask != (np.arange(tokens) < lengths[:, None])).any():
            return None
        padding, unused = tokens - lengths, most - predictions
        ids, segments, places_of_masks, predicted = (
            [
                frames.buffer[begin:end]
                for begin, end in zip(starts[:, field].tolist(), (ends[:, field] - behind).tolist())
            ]
            for field, behind in ((0, padding), (2, padding), (3, unused), (4, unused))
        )
        positions = decode_varints(b"".join(places_of_masks))
        if len(positions) != predictions.sum():
            return None
        labels = values[starts[:, 6]].astype(np.int64)
        return Sequences(lengths, predictions, ids, segments, positions, predicted, labels)

    def _checked(self, fields: Sequence[bytes]) -> Optional[_Values]:
        """The values without padding, if they are as they must be, else none."""
        ids, mask, segments, positions, predicted, weights, label = fields
        tokens, predictions = self.limits
        length, masked = mask.count(1), weights.count(_ONE)
        if mask != self._masks.get(length) or weights != self._weights.get(masked):
            return None
        padding, unused = self._padding[tokens - length], self._padding[predictions - masked]
        if (
            label not in (b"\0", b"\1")
            or len(segments) != tokens
            or not segments.endswith(padding)
            or segments.translate(None, b"\0\1")
        ):
            return None
        row = []
        for packed, zeros, count in (
            (ids, padding, tokens),
            (positions, unused, predictions),
            (predicted, unused, predictions),
        ):
            used = packed[: len(packed) - len(zeros)]
            if (
                not packed.endswith(zeros)
                or len(packed.translate(None, _NOT_LAST)) != count
                or used[-1:] >= b"\x80"
            ):
                return None
            row.append(used)
        return row[0], segments[:length], row[1], row[2], label[0]

    def _read_slowly(self, content: bytes, path: Path, number: int) -> _Values:
        """A record that is written in an unusual way, or is wrong: then the reason is found."""
        try:
            example = decode_example(content)
        except ValueError as error:
            raise damaged(path, number, f"it is no Example: {error}") from None
        reason = next(_reasons_against(example, self.limits, path, number), None)
        if reason:
            raise damaged(path, number, reason)
        usual = {name: example[name] for name in UNPACKED}
        frame = next(framed([encode_example(usual)]))
        places = find_fields(Frames(frame, [0, len(frame)], 1), UNPACKED)
        values = self._checked(
            [frame[a:b] for a, b in zip(places.starts[0].tolist(), places.ends[0].tolist())]
        )
        if values is None:
            raise damaged(path, number, "it is not as upstream writes it")
        return values

    def _gathered(self, found: List[_Values], first: int, path: Path) -> Sequences:
        ids, segments, positions, predicted, labels = zip(*found)
        places = decode_varints(b"".join(positions))
        lengths = np.fromiter(map(len, segments), np.int64, len(found))
        predictions = np.fromiter(
            (len(each.translate(None, _NOT_LAST)) for each in positions), np.int64, len(found)
        )
        owners = np.repeat(np.arange(len(found)), predictions)
        outside = places >= lengths[owners]
        if outside.any():
            wrong = first + int(owners[np.argmax(outside)])
            raise damaged(path, wrong, "masked_lm_positions leave the sequence")
        return Sequences(
            lengths, predictions, list(ids), list(segments), places, list(predicted),
            np.array(labels, dtype=np.int64),
        )  # fmt: skip


def sum_of_contents(sequences: Sequences) -> int:
    """A number that any change of any sequence changes, and their order does not.

    It is the sum of 128-bit hashes of the sequences, each half modulo 2**64; sums of parts are put
    together with :func:`added`.
    """
    edges = (2 * sums_of_groups(sequences.predictions)).tolist()
    positions = sequences.positions.astype("<u2").tobytes()
    digests = [
        hashlib.blake2b(
            b"%d %d %d " % (len(segments), len(ids), label)
            + ids + segments + positions[start:end] + predicted,
            digest_size=16,
        ).digest()
        for ids, segments, start, end, predicted, label in zip(
            sequences.ids, sequences.segments, edges, edges[1:], sequences.predicted,
            sequences.labels.tolist(),
        )
    ]  # fmt: skip
    halves = np.frombuffer(b"".join(digests), dtype="<u8").reshape(-1, 2)
    low, high = halves.sum(axis=0, dtype=np.uint64).tolist()
    return int(low | high << 64)


def added(one: int, other: int) -> int:
    """The sum of contents of two sets of sequences."""
    word = (1 << 64) - 1
    low, high = (one & word) + (other & word), (one >> 64) + (other >> 64)
    return (low & word) | (high & word) << 64


def shape_of_first(path: Path) -> Limits:
    """The lengths that the first record of a file has.

    Raises:
        DataDamaged: it has no record, or one without these features.
    """
    from bertkit.data.records.tfrecord import read_records

    content = next(iter(read_records(path)), None)
    if content is None:
        raise DataDamaged("a file of records is empty", where=path,
                          next_step="remove it and make the records again")  # fmt: skip
    try:
        example = decode_example(content)
        limits = Limits(len(example["input_ids"]), len(example["masked_lm_ids"]))
    except (ValueError, KeyError) as error:
        raise damaged(path, 1, f"it is no Example of pre-training: {error}") from None
    if "positions" in example:
        raise DataDamaged(
            "these records are packed already",
            where=path,
            next_step="give the directory of unpacked records",
        )
    return limits


def _reasons_against(
    example: Dict[str, List[float]], limits: Limits, path: Path, number: int
) -> Iterator[str]:
    tokens, predictions = limits
    wanted = dict(zip(UNPACKED, (tokens, tokens, tokens, *[predictions] * 3, 1)))
    if set(example) != set(wanted):
        yield f"it has {', '.join(sorted(example))}; wanted are {', '.join(sorted(wanted))}"
        return
    for name, count in wanted.items():
        if len(example[name]) != count:
            raise DataDamaged(
                f"{name} has {len(example[name])} values, not {count}",
                where=f"{path}, record {number}",
                why="all records of a directory have the same lengths, those of the first one "
                "unless others are given",
                next_step="move the records that differ away, or give --max-seq-length and "
                "--max-predictions-per-seq as the records have them",
            )
    length, masked = int(sum(example["input_mask"])), int(sum(example["masked_lm_weights"]))
    if length < 1 or example["input_mask"] != [1] * length + [0] * (tokens - length):
        yield "input_mask is not ones and then zeros"
        return
    if example["masked_lm_weights"] != [1.0] * masked + [0.0] * (predictions - masked):
        yield "masked_lm_weights is not ones and then zeros"
        return
    if any(example["input_ids"][length:]) or any(example["segment_ids"][length:]):
        yield "the padding is not zero"
    if not set(example["segment_ids"]) <= {0, 1}:
        yield "segment_ids has another number than 0 and 1"
    positions, predicted = example["masked_lm_positions"], example["masked_lm_ids"]
    if any(positions[masked:]) or any(predicted[masked:]):
        yield "unused predictions are not zero"
    if not all(0 <= position < length for position in positions[:masked]):
        yield "masked_lm_positions leave the sequence"
    if example["next_sentence_labels"][0] not in (0, 1):
        yield "next_sentence_labels is neither 0 nor 1"

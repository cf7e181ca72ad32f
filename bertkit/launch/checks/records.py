"""A look at the first record of a few files, so that a run does not fail on them an hour later.

This is no verification (``bertkit data verify`` reads everything): it finds files of another kind,
records cut off or damaged at their beginning, of another sequence length, packed ones where
unpacked ones are expected, and token ids that the model has no embedding for.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple, Union

from bertkit.launch.checkpoints.tensor_bundle import NotABundle, fields, varint
from bertkit.launch.checks import crc32c

_LONGEST_RECORD = 64 << 20
_FLOATS, _INTS = 2, 3  # tf.train.Feature: float_list = 2, int64_list = 3
_FILES_LOOKED_INTO = 4
#: upstream's trainer takes at most 3 sequences a pack
SEQUENCES_A_PACK = 3


class Shape(NamedTuple):
    """What records must be like: sequence length, most predictions, vocabulary's size, packed."""

    length: int
    predictions: int
    vocabulary: int
    packed: bool

    def lengths(self) -> Dict[str, int]:
        """Feature -> how many values it has."""
        more = SEQUENCES_A_PACK if self.packed else 0
        of_pair = SEQUENCES_A_PACK if self.packed else 1
        wanted = dict.fromkeys(("input_ids", "input_mask", "segment_ids"), self.length)
        for name in ("positions", "ids", "weights"):
            wanted[f"masked_lm_{name}"] = self.predictions + more
        wanted["next_sentence_labels"] = of_pair
        if self.packed:
            wanted["positions"] = self.length
            wanted["next_sentence_positions"] = wanted["next_sentence_weights"] = of_pair
        return wanted


def metadata_of(directory: Path) -> Path:
    """Where upstream looks for a pack's metadata; its existence means packed data."""
    return directory.with_name(directory.name + "_metadata.json")


def unfit(files: Sequence[Path], shape: Shape) -> Optional[str]:
    """Why the first record of one of *files* is no use, with the file's name; None if all are.

    Args:
        files: the directory's; a few of them are read, from its beginning to its end.
        shape: what is wanted.
    """
    last = len(files) - 1
    chosen = {last * number // (_FILES_LOOKED_INTO - 1) for number in range(_FILES_LOOKED_INTO)}
    for path in [files[number] for number in sorted(chosen)]:
        try:
            why = _reason(_features(_first(path)), shape)
        except NotABundle as error:
            why = f"no tf.train.Example: {error}"
        except (ValueError, OSError) as error:
            why = getattr(error, "strerror", None) or str(error)
        if why is not None:
            return f"{path.name}, first record: {why}"
    return None


def unfit_metadata(path: Path) -> Optional[str]:
    """Why a pack's metadata is no use to upstream's trainer, which reads the average from it."""
    try:
        average = json.loads(path.read_text(encoding="utf-8"))["avg_seq_per_sample"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"no avg_seq_per_sample in {path.name}: {type(error).__name__}: {error}"
    if isinstance(average, bool) or not isinstance(average, (int, float)):
        return f"{path.name}: avg_seq_per_sample is no number: {average!r}"
    if not 1 <= average <= SEQUENCES_A_PACK:
        return f"{path.name}: avg_seq_per_sample is {average}, not 1 to {SEQUENCES_A_PACK}"
    return None


def _first(path: Path) -> bytes:
    """The content of the file's first record.

    Raises:
        ValueError: the frame is not one, or a sum is wrong.
    """
    with path.open("rb") as stream:
        header = stream.read(12)
        if len(header) < 12:
            raise ValueError("the file ends within the record's length")
        length, length_sum = struct.unpack("<QI", header)
        if crc32c.masked(header[:8]) != length_sum:
            raise ValueError("no TFRecord, or compressed: the checksum of its length is wrong")
        if length > _LONGEST_RECORD:
            raise ValueError(f"a record of {length} bytes cannot be")
        rest = stream.read(length + 4)
    if len(rest) < length + 4:
        raise ValueError("the file ends within the record")
    if crc32c.masked(rest[:-4]) != struct.unpack("<I", rest[-4:])[0]:
        raise ValueError("the checksum of its content is wrong")
    return rest[:-4]


def _features(content: bytes) -> Dict[str, List[int]]:
    """Name -> values of a ``tf.train.Example``; floats are given as zeros, for their number."""
    found: Dict[str, List[int]] = {}
    try:
        for number, features in fields(content):
            for _, entry in fields(_message(features)) if number == 1 else ():
                key, value = "", b""
                for part, inner in fields(_message(entry)):
                    if part == 1:
                        key = _message(inner).decode("utf-8")
                    else:
                        value = _message(inner)
                found[key] = [each for kind, listed in fields(value)
                              for each in _values(kind, _message(listed))]  # fmt: skip
    except (IndexError, UnicodeDecodeError) as error:
        raise NotABundle(str(error)) from None
    return found


def _values(kind: int, listed: bytes) -> Iterator[int]:
    if kind == _FLOATS:
        yield from [0] * sum(len(_message(value)) // 4 for _, value in fields(listed))
    elif kind == _INTS:
        for _, value in fields(listed):
            if isinstance(value, int):
                yield value
                continue
            position = 0
            while position < len(value):
                each, position = varint(value, position)
                yield each


def _message(value: Union[int, bytes]) -> bytes:
    if isinstance(value, int):
        raise NotABundle("a number where a message was expected")
    return value


def _reason(features: Dict[str, List[int]], shape: Shape) -> Optional[str]:
    wanted = shape.lengths()
    if shape.packed and "input_ids" in features and "positions" not in features:
        return "it is not packed, but there is metadata of packed data beside the directory"
    if not shape.packed and "next_sentence_positions" in features:
        return "it is packed, but there is no metadata beside the directory"
    lacking = sorted(set(wanted) - set(features))
    if lacking:
        return f"it has no {', '.join(lacking)}"
    wrong: List[Tuple[str, int]] = [
        (n, len(features[n])) for n in wanted if len(features[n]) != wanted[n]
    ]
    if wrong:
        name, has = wrong[0]
        return f"{name} has {has} values, the job wants {wanted[name]}"
    for name in ("input_ids", "masked_lm_ids"):
        largest = max(features[name])
        if largest >= shape.vocabulary:
            return f"{name} has {largest}, the model's vocabulary ends at {shape.vocabulary - 1}"
    if max(features["masked_lm_positions"]) >= shape.length:
        return "masked_lm_positions points beyond the sequence"
    return None

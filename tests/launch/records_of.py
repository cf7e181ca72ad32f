"""Records of training data as upstream reads them, small and whole, for tests that start a run."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, List, Union

from bertkit.data.records.tfrecord import encode_example, write_records

Features = Dict[str, Union[List[int], List[float]]]


def features(length: int, predictions: int, *, packed: bool = False) -> Features:
    """One record's features: of the right lengths, with small numbers in them."""
    more = 3 if packed else 0
    of_pair = 3 if packed else 1
    found: Features = {
        "input_ids": [101, *[7] * (length - 2), 102],
        "input_mask": [1] * length,
        "segment_ids": [0] * length,
        "masked_lm_positions": [1] * (predictions + more),
        "masked_lm_ids": [7] * (predictions + more),
        "masked_lm_weights": [1.0] * (predictions + more),
        "next_sentence_labels": [0] * of_pair,
    }
    if packed:
        found["positions"] = list(range(length))
        found["next_sentence_positions"] = [0] * 3
        found["next_sentence_weights"] = [1.0] * 3
    return found


def write(path: Path, *, length: int, predictions: int, packed: bool = False) -> None:
    """A file with one record."""
    write_records(path, [encode_example(features(length, predictions, packed=packed))])

"""Synthetic pre-training records in upstream's unpacked and packed schema.

The text is a language of few words, so that a model learns something from it in a handful
of steps: every masked word is one of `WORDS`.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any, Dict, List, Sequence

CLS, SEP, MASK = 101, 102, 103
WORDS = list(range(110, 118))


def unpacked(rng: random.Random, length: int, predictions: int) -> Dict[str, List[Any]]:
    """One record: [CLS] a sentence [SEP] another [SEP], zero padded to `length`."""
    used = rng.randint(length // 2, length)
    half = used // 2
    ids = [CLS] + [rng.choice(WORDS) for _ in range(used - 3)]
    ids = [*ids[:half], SEP, *ids[half:], SEP]
    words = [at for at, word in enumerate(ids) if word not in (CLS, SEP)]
    masked = sorted(rng.sample(words, max(1, min(predictions, used // 7))))
    labels = [ids[at] for at in masked]
    for at in masked:
        ids[at] = MASK
    segments = [0] * (half + 1) + [1] * (used - half - 1)

    def padded(values: Sequence[Any], size: int, zero: Any = 0) -> List[Any]:
        return [*values, *[zero] * (size - len(values))]

    return {
        "input_ids": padded(ids, length),
        "input_mask": padded([1] * used, length),
        "segment_ids": padded(segments, length),
        "masked_lm_positions": padded(masked, predictions),
        "masked_lm_ids": padded(labels, predictions),
        "masked_lm_weights": padded([1.0] * len(masked), predictions, 0.0),
        "next_sentence_labels": [rng.randint(0, 1)],
    }


def packed(rng: random.Random, length: int, predictions: int) -> Dict[str, List[Any]]:
    """One pack of two sequences of half the length, in the schema of 1.6.0 to 1.14.0."""
    pack: Dict[str, List[Any]] = {
        "input_ids": [],
        "input_mask": [],
        "segment_ids": [],
        "positions": [],
        "masked_lm_positions": [],
        "masked_lm_ids": [],
        "masked_lm_weights": [],
        "next_sentence_positions": [],
        "next_sentence_labels": [],
        "next_sentence_weights": [],
    }
    for number in (1, 2):
        one = unpacked(rng, length // 2, predictions // 2)
        start = len(pack["input_ids"])
        used = sum(one["input_mask"])
        masked = int(sum(one["masked_lm_weights"]))
        pack["input_ids"] += one["input_ids"][:used]
        pack["input_mask"] += [number] * used
        pack["segment_ids"] += one["segment_ids"][:used]
        pack["positions"] += list(range(used))
        pack["masked_lm_positions"] += [start + at for at in one["masked_lm_positions"][:masked]]
        pack["masked_lm_ids"] += one["masked_lm_ids"][:masked]
        pack["masked_lm_weights"] += [float(number)] * masked
        pack["next_sentence_positions"].append(start)
        pack["next_sentence_labels"] += one["next_sentence_labels"]
        pack["next_sentence_weights"].append(1.0)
    for name, values in pack.items():
        if name.startswith("masked"):
            size = predictions + 3
        elif name.startswith("next"):
            size = 3
        else:
            size = length
        values += [0.0 if name.endswith("weights") else 0] * (size - len(values))
    return pack


def write(path: Path, records: Sequence[Dict[str, List[Any]]]) -> None:
    """Write one TFRecord file."""
    import tensorflow as tf

    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            feature = {
                name: tf.train.Feature(float_list=tf.train.FloatList(value=values))
                if name.endswith("weights")
                else tf.train.Feature(int64_list=tf.train.Int64List(value=values))
                for name, values in record.items()
            }
            example = tf.train.Example(features=tf.train.Features(feature=feature))
            writer.write(example.SerializeToString())


def write_directory(
    directory: Path,
    *,
    length: int,
    predictions: int,
    files: int = 2,
    records: int = 16,
    pack: bool = False,
    seed: int = 0,
) -> Path:
    """Fill a directory that --input_files_dir can name; packed ones get their metadata."""
    rng = random.Random(seed)
    make = packed if pack else unpacked
    for number in range(files):
        write(
            directory / f"part_{number}.tfrecord",
            [make(rng, length, predictions) for _ in range(records)],
        )
    if pack:
        metadata = directory.parent / f"{directory.name}_metadata.json"
        metadata.write_text(json.dumps({"avg_seq_per_sample": 2.0}))
    return directory

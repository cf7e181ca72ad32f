"""The stage that makes the records of both lengths from files of sentences."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Dict, List, NamedTuple, Sequence, Tuple

from bertkit.data.instances.instances import Shape, records
from bertkit.data.instances.tokenized import tokenize
from bertkit.data.instances.tokens import WordPieces, read_vocabulary
from bertkit.data.layout import SPLITS, DataLayout
from bertkit.data.records.tfrecord import write_records
from bertkit.data.stages.manifest import Manifest, versions
from bertkit.data.stages.parts import Output, Part, PartsStage
from bertkit.errors import DataDamaged

#: raised when the records of the same text would come out differently
RULES = 2


class RecordSettings(NamedTuple):
    """What the records of one length depend on, besides text and vocabulary."""

    seq_len: int
    max_predictions: int
    duplicates: int
    seed: int
    whole_words: bool = False


class Vocabulary(NamedTuple):
    """A vocabulary and how text is prepared for it."""

    path: Path
    sha256: str
    lowercase: bool = True


class _Job(NamedTuple):
    text: Path
    name: str
    vocabulary: Path
    lowercase: bool
    settings: Tuple[RecordSettings, ...]


def records_stage(
    layout: DataLayout, text: Manifest, vocabulary: Vocabulary, settings: Sequence[RecordSettings]
) -> PartsStage:
    """The stage that makes records of all lengths from each file of text, tokenized once.

    Args:
        layout: the data directory.
        text: the manifest of the files of text.
        vocabulary: what to tokenize with.
        settings: one for each length.
    """
    outputs = [
        Output(
            f"records {each.seq_len}",
            layout.tfrecord(each.seq_len),
            {**each._asdict(), "lowercase": vocabulary.lowercase, "rules": RULES},
        )
        for each in settings
    ]
    parts = []
    for split in SPLITS:
        numbers = sum(name.startswith(f"{split}/") for name in text.outputs)
        for number in range(numbers):
            source, name = layout.shard_name(split, number), layout.record_name(split, number)
            job = _Job(layout.sharded / source, name, vocabulary.path, vocabulary.lowercase,
                       tuple(settings))  # fmt: skip
            inputs = {"text": text.outputs[source]["sha256"], "vocab.txt": vocabulary.sha256}
            parts.append(Part(f"{split} {number}", inputs, (name,) * len(settings), job))
    inputs = {"sentences": text.fingerprint, "vocab.txt": vocabulary.sha256}
    return PartsStage(
        "records", outputs, inputs, parts, _write_records, versions("tokenizers", "numpy")
    )


def _write_records(job: _Job, paths: Sequence[Path]) -> List[Dict[str, int]]:
    pieces = _word_pieces(job.vocabulary, job.lowercase)
    text = tokenize(job.text, pieces)
    split = job.name.partition("/")[0]
    counts = []
    for path, settings in zip(paths, job.settings):
        shape = Shape(settings.seq_len, settings.max_predictions, settings.duplicates,
                      settings.whole_words)  # fmt: skip
        seed = (settings.seed, settings.seq_len, job.name)
        count = write_records(path, records(text, pieces, shape, seed))
        if not count:
            raise DataDamaged("no record can be made of this text", where=job.text,
                              next_step="ask for fewer files with --shards")  # fmt: skip
        counts.append({"records": count, f"{split}_records": count})
    return counts


@lru_cache(maxsize=1)
def _word_pieces(vocabulary: Path, lowercase: bool) -> WordPieces:
    return WordPieces(read_vocabulary(vocabulary), lowercase=lowercase)

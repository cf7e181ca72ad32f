"""The stages from a dump to records, in upstream's directories."""

from __future__ import annotations

import contextlib
import os
from functools import lru_cache
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Sequence, Tuple

from bertkit.data.extraction import write_formatted
from bertkit.data.instances import Shape, records
from bertkit.data.layout import SPLITS, DataLayout
from bertkit.data.manifest import Manifest, Stage
from bertkit.data.parts import Output, Part, PartsStage
from bertkit.data.progress import Progress
from bertkit.data.sentences import sentences_of
from bertkit.data.sharding import Sharder
from bertkit.data.tfrecord import write_records
from bertkit.data.tokenized import tokenize
from bertkit.data.tokens import WordPieces, read_vocabulary
from bertkit.data.workers import in_processes
from bertkit.errors import DataDamaged

_BYTES_AT_ONCE = 1 << 20

#: raised when the records of the same text would come out differently
RULES = 2


class CorpusShards(NamedTuple):
    """How text is dealt to files."""

    layout: DataLayout
    shards: int
    test_fraction: float
    seed: int


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


def format_stage(layout: DataLayout, extracted: Manifest) -> Stage:
    """The stage that puts each extracted article into one line."""
    names = sorted(extracted.outputs)
    return Stage(
        "articles",
        layout.formatted,
        {"extracted": extracted.fingerprint},
        {"rules": 1},
        lambda place: write_formatted(layout.extracted, names, place),
    )


def shard_stage(shape: CorpusShards, articles: Manifest, workers: int) -> Stage:
    """The stage that deals sentences of articles to files of training and test text."""
    layout = shape.layout
    settings = {"shards": shape.shards, "test_fraction": shape.test_fraction, "seed": shape.seed}
    return Stage(
        "sentences",
        layout.sharded,
        {"articles": articles.fingerprint},
        {**settings, "rules": 1},
        lambda place: write_shards(layout.formatted, place, shape, workers),
        versions("syntok"),
    )


def versions(*packages: str) -> Dict[str, str]:
    """What a stage is made with, for the record."""
    from importlib.metadata import version

    return {package: version(package) for package in packages}


def write_shards(
    formatted: Path, output: Path, shape: CorpusShards, workers: int
) -> Dict[str, int]:
    """Sentences of articles, dealt to the files of *output*; an empty line between articles.

    Raises:
        DataDamaged: there are too few articles for so many files.
    """
    sharder = Sharder(shape.shards, shape.test_fraction, shape.seed)
    names = [shape.layout.shard_name(split, n) for split in SPLITS for n in range(shape.shards)]
    for split in SPLITS:
        (output / split).mkdir(parents=True)
    sentences = articles = 0
    progress = Progress("articles to sentences")
    with contextlib.ExitStack() as files:
        streams = {
            name: files.enter_context((output / name).open("w", encoding="utf-8", newline="\n"))
            for name in names
        }
        for found in in_processes(_sentences_of_each, _stretches(formatted), workers):
            for size, text, count in found:
                split, number = sharder.place(size)
                streams[shape.layout.shard_name(split, number)].write(text)
                sentences += count
            articles += len(found)
            progress.more(len(found))
        for stream in streams.values():
            stream.flush()
            os.fsync(stream.fileno())
    progress.end()
    empty = [name for name in names if not (output / name).stat().st_size]
    if empty:
        raise DataDamaged(
            f"{len(empty)} of {len(names)} files of text would be empty",
            where=formatted,
            why=f"it has {articles} articles",
            next_step="ask for fewer files with --shards",
        )
    return {"sentences": sentences, "articles": articles, "files": len(names)}


class _Stretch(NamedTuple):
    """Whole lines of a file: where they begin, and how many bytes they are."""

    file: Path
    start: int
    size: int


def _stretches(file: Path) -> Iterator[_Stretch]:
    """The file in stretches of a megabyte or a little more.

    Workers read them by themselves. Were the text sent to them, the death of a worker would leave
    Python before 3.12 waiting for ever with what is on its way (python/cpython#94777).
    """
    end = file.stat().st_size
    start = 0
    with file.open("rb") as stream:
        while start < end:
            stream.seek(start + _BYTES_AT_ONCE)
            stream.readline()
            behind = min(stream.tell(), end)
            yield _Stretch(file, start, behind - start)
            start = behind


def _sentences_of_each(stretch: _Stretch) -> List[Tuple[int, str, int]]:
    """For each article its characters, its sentences as they stand in a shard, and their number."""
    with stretch.file.open("rb") as stream:
        stream.seek(stretch.start)
        lines = stream.read(stretch.size).decode("utf-8").split("\n")
    found = []
    for text in filter(None, map(str.strip, lines)):
        sentences = sentences_of(text)
        if sentences:
            found.append((len(text), "\n".join(sentences) + "\n\n", len(sentences)))
    return found


def read_documents(shard: Path) -> List[List[str]]:
    """The articles of one shard, each a list of sentences; no article is empty."""
    documents: List[List[str]] = [[]]
    with shard.open(encoding="utf-8", newline="\n") as lines:
        for line in lines:
            sentence = line.strip()
            if sentence:
                documents[-1].append(sentence)
            else:
                documents.append([])
    return [document for document in documents if document]


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

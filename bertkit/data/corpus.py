"""The stages from a dump to records, in upstream's directories."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Dict, List, NamedTuple

from bertkit.data.instances import Shape, records
from bertkit.data.layout import SPLITS, DataLayout
from bertkit.data.sentences import sentences_of
from bertkit.data.sharding import Sharder
from bertkit.data.tfrecord import write_records
from bertkit.data.tokenized import tokenize
from bertkit.data.tokens import WordPieces, read_vocabulary
from bertkit.data.wikitext import articles
from bertkit.data.workers import in_processes
from bertkit.errors import DataDamaged


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


def write_one_article_per_line(dump: Path, output: Path) -> Dict[str, int]:
    """The text of a dump, one article a line and an empty line after each, as upstream has it.

    Raises:
        DataDamaged: the dump is damaged or has no article.
    """
    count = characters = 0
    with output.open("w", encoding="utf-8", newline="\n") as stream:
        for article in articles(dump):
            text = " ".join(article.paragraphs)
            stream.write(f"{text}\n\n")
            count += 1
            characters += len(text)
        stream.flush()
        os.fsync(stream.fileno())
    if not count:
        raise DataDamaged("the dump has no article", where=dump, next_step="give another dump")
    return {"articles": count, "characters": characters}


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
    streams = {name: (output / name).open("w", encoding="utf-8", newline="\n") for name in names}
    with formatted.open(encoding="utf-8", newline="\n") as lines:
        texts = [line.strip() for line in lines if line.strip()]
    sentences = 0
    try:
        for text, found in zip(texts, in_processes(sentences_of, texts, workers)):
            split, number = sharder.place(len(text))
            streams[shape.layout.shard_name(split, number)].write("\n".join(found) + "\n\n")
            sentences += len(found)
        for stream in streams.values():
            stream.flush()
            os.fsync(stream.fileno())
    finally:
        for stream in streams.values():
            stream.close()
    empty = [name for name in names if not (output / name).stat().st_size]
    if empty:
        raise DataDamaged(
            f"{len(empty)} of {len(names)} files of text would be empty",
            where=formatted,
            why=f"it has {len(texts)} articles",
            next_step="ask for fewer files with --shards",
        )
    return {"sentences": sentences, "articles": len(texts), "files": len(names)}


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


class _ShardJob(NamedTuple):
    text: Path
    vocabulary: Path
    output: Path
    name: str
    settings: RecordSettings


def write_records_of_shards(
    layout: DataLayout, output: Path, shards: int, settings: RecordSettings, workers: int
) -> Dict[str, int]:
    """One file of records for each file of text, training and test.

    Raises:
        DataDamaged: the vocabulary is none, or a file of text gives no record.
    """
    read_vocabulary(layout.vocab)
    jobs = []
    for split in SPLITS:
        (output / split).mkdir(parents=True)
        for number in range(shards):
            name = layout.record_name(split, number)
            text = layout.sharded / layout.shard_name(split, number)
            jobs.append(_ShardJob(text, layout.vocab, output / name, name, settings))
    counts = list(in_processes(_write_shard, jobs, workers))
    for job, count in zip(jobs, counts):
        if not count:
            raise DataDamaged("no record can be made of this text", where=job.text,
                              next_step="ask for fewer files with --shards")  # fmt: skip
    return {
        "records": sum(counts),
        "training_records": sum(counts[:shards]),
        "test_records": sum(counts[shards:]),
        "files": len(jobs),
    }


def _write_shard(job: _ShardJob) -> int:
    pieces = _word_pieces(job.vocabulary)
    settings = job.settings
    shape = Shape(settings.seq_len, settings.max_predictions, settings.duplicates)
    seed = (settings.seed, settings.seq_len, job.name)
    return write_records(job.output, records(tokenize(job.text, pieces), pieces, shape, seed))


@lru_cache(maxsize=1)
def _word_pieces(vocabulary: Path) -> WordPieces:
    return WordPieces(read_vocabulary(vocabulary))

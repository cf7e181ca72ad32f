"""Sentences of articles dealt to files of training and test text, in one pass, constant memory."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Tuple

from bertkit.data.layout import SPLITS, DataLayout
from bertkit.data.stages.manifest import Manifest, Stage, versions
from bertkit.data.stages.progress import Progress
from bertkit.data.stages.workers import in_processes
from bertkit.data.wikipedia.sentences import sentences_of
from bertkit.errors import DataDamaged

_BYTES_AT_ONCE = 1 << 20


class CorpusShards(NamedTuple):
    """How text is dealt to files."""

    layout: DataLayout
    shards: int
    test_fraction: float
    seed: int


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


class Sharder:
    """Gives each article to the shard that is the emptiest for its share.

    So shards differ by about one article at most, whatever the articles' lengths, and where an
    article goes depends on the articles before it and the seed alone.

    Args:
        shards: training files, and as many test files.
        test_fraction: of the text, to be held out for evaluation.
        seed: orders the shards, which decides between equals.
    """

    def __init__(self, shards: int, test_fraction: float, seed: int) -> None:
        shares = {"training": 1 - test_fraction, "test": test_fraction}
        self._shards: List[Tuple[str, int]] = sorted(
            ((split, number) for split in SPLITS for number in range(shards)),
            key=lambda shard: hashlib.sha256(f"{seed} {shard[0]} {shard[1]}".encode()).digest(),
        )
        self._shares = [shares[split] / shards for split, _ in self._shards]
        self._sizes = [0] * len(self._shards)

    def place(self, size: int) -> Tuple[str, int]:
        """Split and number of the shard for the next article, which has *size* characters."""
        filled = [(had + size) / share for had, share in zip(self._sizes, self._shares)]
        emptiest = filled.index(min(filled))
        self._sizes[emptiest] += size
        return self._shards[emptiest]


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

"""Sentences of articles dealt to files of training and test text, in one pass, constant memory."""

from __future__ import annotations

import contextlib
import os
import resource
from functools import partial
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Tuple

from bertkit.data.layout import SPLITS, DataLayout
from bertkit.data.stages.manifest import Manifest, Stage, versions
from bertkit.data.stages.progress import Progress
from bertkit.data.stages.workers import in_processes
from bertkit.data.wikipedia.dealing import Dealer, digest_of
from bertkit.data.wikipedia.sentences import sentences_of
from bertkit.errors import DataDamaged, EnvironmentUnfit

_BYTES_AT_ONCE = 1 << 18
# What else is open: the pipes of workers, the lock, the logs.
_OTHER_FILES = 512


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
        {**settings, "rules": 2},
        lambda place: write_shards(layout.formatted, place, shape, workers),
        versions("syntok"),
    )


def write_shards(
    formatted: Path, output: Path, shape: CorpusShards, workers: int
) -> Dict[str, int]:
    """Sentences of articles, dealt to the files of *output*; an empty line between articles.

    Raises:
        DataDamaged: there are too few articles for so many files.
        EnvironmentUnfit: so many files cannot be open at once.
    """
    _may_open(2 * shape.shards)
    dealer = Dealer(shape.shards, shape.test_fraction, formatted.stat().st_size)
    names = [shape.layout.shard_name(split, n) for split in SPLITS for n in range(shape.shards)]
    for split in SPLITS:
        (output / split).mkdir(parents=True)
    sentences = articles = without = 0
    progress = Progress("articles to sentences")
    with contextlib.ExitStack() as files:
        streams = {name: files.enter_context((output / name).open("wb")) for name in names}
        work = partial(_dealt, seed=shape.seed)
        for found, lines in in_processes(work, _stretches(formatted), workers):
            for article in found:
                split, number = dealer.place(article.size, article.digest)
                streams[shape.layout.shard_name(split, number)].write(article.text)
                sentences += article.sentences
            articles += len(found)
            without += lines - len(found)
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
    return {
        "sentences": sentences,
        "articles": articles,
        "files": len(names),
        "without_sentences": without,
    }


def _may_open(files: int) -> None:
    """Raise this process's limit of open files, as far as it may, to *files* and some more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = files + _OTHER_FILES
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise EnvironmentUnfit(
            f"{files} files of text cannot be open at once",
            why=f"this process may have {hard} files open",
            next_step="ask for fewer with --shards, or raise the limit (ulimit -Hn)",
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class _Stretch(NamedTuple):
    """Whole lines of a file: where they begin, and how many bytes they are."""

    file: Path
    start: int
    size: int


def _stretches(file: Path) -> Iterator[_Stretch]:
    """The file in stretches of a quarter of a megabyte or a little more.

    Workers read them by themselves: the text need not pass through this process.
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


class _Dealt(NamedTuple):
    """One article as it goes into a file."""

    size: int  # bytes that it had
    digest: bytes
    text: bytes
    sentences: int


def _dealt(stretch: _Stretch, seed: int) -> Tuple[List[_Dealt], int]:
    """The stretch's articles that have sentences, and how many there are with the others."""
    with stretch.file.open("rb") as stream:
        stream.seek(stretch.start)
        lines = [line for line in stream.read(stretch.size).splitlines() if line.strip()]
    found = []
    for line in lines:
        try:
            text = line.decode("utf-8").strip()
        except UnicodeDecodeError as error:
            raise DataDamaged(
                "the articles are not UTF-8",
                where=f"{stretch.file}, in {stretch.size} bytes from byte {stretch.start}",
                why=str(error),
                next_step="make them again: bertkit data wiki --until format",
            ) from None
        sentences = sentences_of(text)
        if sentences:
            content = ("\n".join(sentences) + "\n\n").encode("utf-8")
            found.append(_Dealt(len(line) + 2, digest_of(text, seed), content, len(sentences)))
    return found, len(lines)


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

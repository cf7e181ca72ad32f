"""From a dump to plain text, in the form of WikiExtractor's files, which upstream reads.

<doc title="Anarchism">
Anarchism

Anarchism is a political philosophy ...
</doc>
"""

from __future__ import annotations

import os
from html import escape
from pathlib import Path
from typing import Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence
from xml.etree import ElementTree

from bertkit.data.layout import DataLayout
from bertkit.data.stages.parts import Output, Part, PartsStage
from bertkit.data.wikipedia.multistream import Extent, extents, pages_of
from bertkit.data.wikipedia.wikitext import Article, articles, articles_in
from bertkit.errors import DataDamaged

#: streams in one file of text: some 6,400 pages; a file is what a killed run does again
_STREAMS = 64
#: WikiExtractor's: files in a directory, directories named AA, AB and so on
_FILES = 100
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

#: raised when the text of an article would come out differently
RULES = 2


class _Job(NamedTuple):
    dump: Path
    streams: Optional[List[Extent]]  # None: a dump of one stream, the whole of it


def extraction(layout: DataLayout, dump: Path, index: Optional[Path], sha256: str) -> PartsStage:
    """The stage that extracts the articles of *dump*.

    Args:
        layout: the data directory.
        dump: ``pages-articles.xml.bz2``, multistream where there is an *index*.
        index: where its streams begin; None: the dump is read by one process.
        sha256: of the dump.

    Raises:
        DataDamaged: the index is not the dump's.
    """
    if index is None:
        jobs = [_Job(dump, None)]
    else:
        streams = extents(dump, index)
        jobs = [_Job(dump, streams[i : i + _STREAMS]) for i in range(0, len(streams), _STREAMS)]
    inputs = {"dump": sha256}
    parts = [
        Part(f"{number} of {len(jobs)}", inputs, (file_name(number),), job)
        for number, job in enumerate(jobs)
    ]
    output = Output("extracted", layout.extracted, {"rules": RULES, "files": len(jobs)})
    return PartsStage("extracted", [output], inputs, parts, _extract)


def file_name(number: int) -> str:
    """The name of file *number*, as WikiExtractor has them: ``AA/wiki_00``."""
    directory, file = divmod(number, _FILES)
    first, second = divmod(directory, len(_LETTERS))
    return f"{_LETTERS[first]}{_LETTERS[second]}/wiki_{file:02d}"


def _extract(job: _Job, paths: Sequence[Path]) -> Sequence[Dict[str, int]]:
    found: Iterable[Article]
    found = articles(job.dump) if job.streams is None else _articles_of(job.dump, job.streams)
    count = characters = 0
    with paths[0].open("w", encoding="utf-8", newline="\n") as stream:
        for article in found:
            text = "\n".join(article.paragraphs)
            title = article.title.replace("\n", " ")
            stream.write(f'<doc id="{escape(article.number)}" title="{escape(title)}">\n')
            stream.write(f"{title}\n\n{text}\n</doc>\n")
            count += 1
            characters += len(text)
        stream.flush()
        os.fsync(stream.fileno())
    return [{"articles": count, "characters": characters}]


def _articles_of(dump: Path, streams: List[Extent]) -> Iterator[Article]:
    for (begin, _), xml in zip(streams, pages_of(dump, streams)):
        try:
            yield from articles_in(xml)
        except ElementTree.ParseError as error:
            raise DataDamaged(
                "pages of the dump cannot be read",
                where=f"{dump}, the stream at byte {begin}",
                why=str(error),
                next_step="remove the dump and run the same command again: it fetches it anew",
            ) from None


def extracted_names(layout: DataLayout) -> List[str]:
    """The files of text that are there, in order, whoever made them."""
    root = layout.extracted
    return sorted(path.relative_to(root).as_posix() for path in root.glob("*/wiki_*"))

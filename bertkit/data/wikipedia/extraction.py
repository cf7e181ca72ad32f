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
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple
from xml.etree import ElementTree

from bertkit.data.layout import DataLayout
from bertkit.data.stages.parts import Output, Part, PartsStage
from bertkit.data.wikipedia.blocks import pages_between
from bertkit.data.wikipedia.multistream import Extent, extents, pages_of
from bertkit.data.wikipedia.pages import Article, articles_in, no_pages
from bertkit.errors import DataDamaged

#: streams in one file of text: some 6,400 pages; a file is what a killed run does again
_STREAMS = 64
#: bytes in one file of text, at most, where there is no index: some 35 MB of XML
_BYTES = 8 << 20
#: WikiExtractor's: files in a directory, directories named AA, AB and so on
_FILES = 100
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

#: raised when the text of an article would come out differently
RULES = 4


class _Job(NamedTuple):
    dump: Path
    streams: List[Extent]  # with an index: streams; without: one range of the file
    indexed: bool


def extraction(layout: DataLayout, dump: Path, index: Optional[Path], sha256: str) -> PartsStage:
    """The stage that extracts the articles of *dump*.

    Args:
        layout: the data directory.
        dump: ``pages-articles.xml.bz2``, multistream where there is an *index*.
        index: where its streams begin; None: it is read in ranges, wherever pages begin.
        sha256: of the dump.

    Raises:
        DataDamaged: the index is not the dump's.
    """
    if index is None:
        size = dump.stat().st_size
        count = -(-size // _BYTES) or 1
        ranges = [(size * n // count, size * (n + 1) // count) for n in range(count)]
        jobs = [_Job(dump, [each], indexed=False) for each in ranges]
    else:
        streams = extents(dump, index)
        groups = [streams[i : i + _STREAMS] for i in range(0, len(streams), _STREAMS)]
        jobs = [_Job(dump, group, indexed=True) for group in groups]
    inputs = {"dump": sha256}
    parts = [
        Part(f"{number} of {len(jobs)}", inputs, (file_name(number),), job)
        for number, job in enumerate(jobs)
    ]
    by = "streams" if index else "ranges"
    settings = {"rules": RULES, "files": len(jobs), "by": by}
    output = Output("extracted", layout.extracted, settings)
    return PartsStage("extracted", [output], inputs, parts, _extract)


def file_name(number: int) -> str:
    """The name of file *number*, as WikiExtractor has them: ``AA/wiki_00``."""
    directory, file = divmod(number, _FILES)
    first, second = divmod(directory, len(_LETTERS))
    return f"{_LETTERS[first]}{_LETTERS[second]}/wiki_{file:02d}"


def _extract(job: _Job, paths: Sequence[Path]) -> Sequence[Dict[str, int]]:
    counts = no_pages()
    characters = 0
    with paths[0].open("w", encoding="utf-8", newline="\n") as stream:
        for article in _articles_of(job, counts):
            text = "\n".join(article.paragraphs)
            title = article.title.replace("\n", " ")
            stream.write(f'<doc id="{escape(article.number)}" title="{escape(title)}">\n')
            stream.write(f"{title}\n\n{text}\n</doc>\n")
            characters += len(text)
        stream.flush()
        os.fsync(stream.fileno())
    return [{"characters": characters, **counts}]


def _articles_of(job: _Job, counts: Dict[str, int]) -> Iterator[Article]:
    for offset, xml in _pieces_of(job):
        try:
            yield from articles_in(xml, counts)
        except ElementTree.ParseError as error:
            raise DataDamaged(
                "pages of the dump cannot be read",
                where=f"{job.dump}, what is compressed at byte {offset}",
                why=str(error),
                next_step="remove the dump and run the same command again: it fetches it anew",
            ) from None


def _pieces_of(job: _Job) -> Iterator[Tuple[int, bytes]]:
    """XML of whole pages, and where in the dump it comes from."""
    if not job.indexed:
        ((begin, end),) = job.streams
        yield from pages_between(job.dump, begin, end)
        return
    for (begin, _), xml in zip(job.streams, pages_of(job.dump, job.streams)):
        yield begin, xml

"""From a dump's XML to plain text, beside wikiextractor and mwparserfromhell, on one core.

The dump is the Wikipedia sample, 206 pages. wikiextractor (AGPL) is run as a program, and never
imported; what its start takes is measured apart and not counted. It leaves templates out, as
bertkit does. mwparserfromhell parses and does no more than that: ``strip_code`` of each article.
"""

from __future__ import annotations

import bz2
import re
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Callable, Dict, List, Set, Tuple

from benchmarks.processes import measured
from benchmarks.table import Table
from bertkit.data.samples import sources
from bertkit.data.wikipedia.blocks import pages_between
from bertkit.data.wikipedia.pages import articles_in, no_pages, pages_in

_WORDS = 5
_MARKUP = ("[[", "]]", "{{", "}}", "{|", "''", "<ref", "&lt;", "&amp;", "&nbsp;", "formula_", "()")

#: an article's title -> its text
Texts = Dict[str, str]
_Runs = Dict[str, Set[Tuple[str, ...]]]


def run() -> Table:
    """Measure.

    Raises:
        BertkitError: the extra ``sample`` is missing, or a run failed.
    """
    dump = sources.sample_dump()
    with bz2.open(dump) as stream:
        size = len(stream.read()) / 1e6
    table = Table(
        f"{size:.1f} MB of XML to plain text, on one core",
        ("tool", "seconds", "MB/s", "articles", "characters", "has of bertkit's",
         "bertkit has of it", "markup left"),
    )  # fmt: skip
    tools: List[Tuple[str, str, Callable[[Path], Tuple[float, Texts]]]] = [
        ("bertkit", "", _by_bertkit),
        ("wikiextractor", "wikiextractor", _by_wikiextractor),
        ("mwparserfromhell", "mwparserfromhell", _by_mwparserfromhell),
    ]
    own: _Runs = {}
    for name, module, extract in tools:
        if module and find_spec(module) is None:
            table.notes.append(f"{name} is not installed (pip install {name}): left out")
            continue
        seconds, texts = extract(dump)
        runs = {title: _runs_of(text) for title, text in texts.items()}
        own = own or runs
        table.rows.append(
            (
                name, f"{seconds:.2f}", f"{size / seconds:.1f}",
                str(sum(map(bool, texts.values()))), f"{sum(map(len, texts.values())):,}",
                f"{_part(own, runs):.1%}", f"{_part(runs, own):.1%}",
                str(sum(text.count(mark) for text in texts.values() for mark in _MARKUP)),
            )
        )  # fmt: skip
    table.notes += [
        f"has of ...: of all runs of {_WORDS} words in an article's text, those that the other "
        "has in that article too",
        f"markup left: how often there is one of {' '.join(_MARKUP)}",
        "headings, lists, notes: wikiextractor keeps some, mwparserfromhell most, bertkit none",
        "wikiextractor extracts in one process, and reads and writes in two others",
    ]
    return table


def _by_bertkit(dump: Path) -> Tuple[float, Texts]:
    started = time.monotonic()
    texts = {
        article.title: "\n".join(article.paragraphs)
        for _, xml in pages_between(dump, 0, dump.stat().st_size)
        for article in articles_in(xml, no_pages())
    }
    return time.monotonic() - started, texts


def _by_mwparserfromhell(dump: Path) -> Tuple[float, Texts]:
    import mwparserfromhell

    started = time.monotonic()
    texts = {
        page.title: str(mwparserfromhell.parse(page.text).strip_code())
        for _, xml in pages_between(dump, 0, dump.stat().st_size)
        for page in pages_in(xml)
        if page.kind == "articles"
    }
    return time.monotonic() - started, texts


def _by_wikiextractor(dump: Path) -> Tuple[float, Texts]:
    program = [sys.executable, "-m", "wikiextractor.WikiExtractor"]
    start = measured([*program, "--version"]).seconds
    with tempfile.TemporaryDirectory(prefix="bertkit-bench-") as place:
        options = ["--no-templates", "--processes", "1", "-q", "-o", place]
        taken = measured([*program, *options, str(dump)])
        content = "".join(
            path.read_text(encoding="utf-8") for path in sorted(Path(place).rglob("wiki_*"))
        )
    texts = {
        title: text.partition("\n")[2].strip()  # the title stands first
        for title, text in re.findall(
            r'<doc id="[^"]*" url="[^"]*" title="([^"]*)">\n(.*?)</doc>', content, re.DOTALL
        )
    }
    return taken.seconds - start, texts


def _runs_of(text: str) -> Set[Tuple[str, ...]]:
    return {
        tuple(words[at : at + _WORDS])
        for words in (re.findall(r"\w+", line) for line in text.splitlines())
        for at in range(len(words) - _WORDS + 1)
    }


def _part(of: _Runs, also_in: _Runs) -> float:
    shared = sum(len(runs & also_in.get(title, set())) for title, runs in of.items())
    return shared / max(sum(map(len, of.values())), 1)

"""Articles as plain text from a MediaWiki dump (``pages-articles.xml.bz2``).

Not a renderer: what needs MediaWiki to be run (templates, tables, formulas) is left out, so that
sentences remain. Every step is linear in the length of the text, whatever the text is.
"""

from __future__ import annotations

import bz2
import html
import re
from io import BytesIO
from pathlib import Path
from typing import IO, Dict, Iterable, Iterator, List, NamedTuple, Tuple
from xml.etree import ElementTree

from bertkit.errors import DataDamaged

#: paragraphs shorter than this many characters are captions and leftovers, not prose
SHORTEST_PARAGRAPH = 40

_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
# Elements that go with what they hold. A self-closing one ends where it begins.
_DROPPED_NAMES = (
    "ref|references|math|chem|ce|gallery|timeline|code|source|syntaxhighlight|pre|imagemap|"
    "table|score|hiero|graph|mapframe|section|noinclude|includeonly"
)
_DROPPED_TAG = re.compile(rf"<(/?)({_DROPPED_NAMES})\b[^<>]*?(/?)>", re.IGNORECASE)
_LINE_BREAK = re.compile(r"<br\b[^<>]*>", re.IGNORECASE)
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>")
_BRACKETS = re.compile(r"\[\[|\]\]|\{\{|\}\}|^[ \t:]*\{\||^[ \t]*\|\}(?!\})", re.MULTILINE)
_NAMESPACE = re.compile(r"[a-z][a-z-]*:", re.IGNORECASE)
_EXTERNAL = re.compile(r"\[(?:https?:|ftp:|mailto:)?//[^\s\]]+(?:[ \t]+([^\[\]\n]*))?\]")
_BARE_URL = re.compile(r"\b(?:https?|ftp)://\S+")
_QUOTES = re.compile(r"'{2,}")
_MAGIC = re.compile(r"__[A-Z]+__")
_EMPTY_PARENTHESES = re.compile(r"\s*\([\s,;:]*\)")
_AFTER_PARENTHESIS = re.compile(r"\(\s*[,;:]\s*")
_BEFORE_MARK = re.compile(r"[ \t]+([,.;:!?)](?:\s|$))")

_NOT_PROSE = ("*", "#", ":", ";", "|", "!", "{", "}", "=")
_APPENDICES = {
    "bibliography", "citations", "discography", "external links", "footnotes", "further reading",
    "gallery", "notes", "notes and references", "references", "see also", "sources", "works",
}  # fmt: skip
_RANGES = ("to", "and", "or", "by", "x", "-", "\N{EN DASH}")  # {{convert|55|to|80|cm}}
_SENTENCE_ENDS = (".", "!", "?", ":", ";", '"', "'", ")", "\N{RIGHT DOUBLE QUOTATION MARK}")
_CLOSES = {"]]": "[[", "}}": "{{", "|}": "{|"}


class Article(NamedTuple):
    """One page of the encyclopedia."""

    number: str
    title: str
    paragraphs: List[str]


def articles(dump: Path) -> Iterator[Article]:
    """The articles of a bz2 dump that have text, in the order of the dump.

    Raises:
        DataDamaged: the file is no bz2, is cut, or is not the XML of a dump.
    """
    try:
        with bz2.open(dump, "rb") as stream:
            yield from _with_text(_pages(stream))
    except (OSError, EOFError, ElementTree.ParseError) as error:
        raise DataDamaged(
            "the dump cannot be read", where=dump, why=str(error), next_step="fetch it again"
        ) from None


def articles_in(xml: bytes) -> Iterator[Article]:
    """The articles that have text in ``<page>`` elements without anything around them.

    Raises:
        ElementTree.ParseError: it is not that.
    """
    # The last stream of a dump also closes what its first one opened.
    closing = xml.rstrip()
    if closing.endswith(b"</mediawiki>"):
        xml = closing[: -len(b"</mediawiki>")]
    yield from _with_text(_pages(BytesIO(b"<mediawiki>" + xml + b"</mediawiki>")))


def _with_text(pages: Iterable[Tuple[str, str, str]]) -> Iterator[Article]:
    for number, title, wikitext in pages:
        paragraphs = plain_text(wikitext)
        if paragraphs:
            yield Article(number, title, paragraphs)


def _pages(stream: IO[bytes]) -> Iterator[Tuple[str, str, str]]:
    """Number, title and wikitext of each page of the main namespace that is no redirect."""
    root = None
    number = title = namespace = text = ""
    redirect = False
    for event, element in ElementTree.iterparse(stream, events=("start", "end")):
        if root is None:
            root = element
        if event == "start":
            continue
        name = element.tag.rpartition("}")[2]
        if name == "title":
            title = element.text or ""
        elif name == "ns":
            namespace = element.text or ""
        elif name == "id":
            number = number or element.text or ""  # those of the revision and its author follow
        elif name == "redirect":
            redirect = True
        elif name == "text":
            text = element.text or ""
        elif name == "page":
            if namespace in ("", "0") and not (redirect or text[:9].upper() == "#REDIRECT"):
                yield number, title, text
            number = title = namespace = text = ""
            redirect = False
            root.clear()  # else all pages would stay in memory


def plain_text(wikitext: str) -> List[str]:
    """The paragraphs of prose of one page, without any markup."""
    text = _COMMENT.sub("", wikitext)
    text = _without_elements(text)
    text = _LINE_BREAK.sub(" ", text)
    text = _without_brackets(text)
    text = _EXTERNAL.sub(lambda match: match.group(1) or "", text)
    text = _TAG.sub("", text)
    text = _BARE_URL.sub("", text)
    text = _MAGIC.sub("", _QUOTES.sub("", text))
    return [paragraph for paragraph in map(_tidy, _prose_lines(text)) if _is_prose(paragraph)]


def _without_elements(text: str) -> str:
    """*text* less the elements that hold no prose; one that never ends goes alone, as a tag."""
    kept: List[str] = []
    position = 0
    ends: Dict[str, List[int]] = {}  # name -> positions of its end tags, latest first
    for match in _DROPPED_TAG.finditer(text):
        if match.group(1):
            ends.setdefault(match.group(2).lower(), []).append(match.end())
    for positions in ends.values():
        positions.reverse()
    for match in _DROPPED_TAG.finditer(text):
        if match.start() < position:
            continue
        kept.append(text[position : match.start()])
        position = match.end()
        if match.group(1) or match.group(3):
            continue
        later = ends.get(match.group(2).lower(), [])
        while later and later[-1] < position:
            later.pop()
        if later:
            position = later.pop()
    kept.append(text[position:])
    return "".join(kept)


def _without_brackets(text: str) -> str:
    """*text* with links as their labels and without templates, tables and files.

    One scan with a stack: what an opening bracket begins is gathered by itself and rendered where
    it closes. A bracket without its partner is dropped and its text kept.
    """
    stack: List[Tuple[str, List[str]]] = [("", [])]
    open_now = dict.fromkeys(_CLOSES.values(), 0)
    position = 0
    for match in _BRACKETS.finditer(text):
        stack[-1][1].append(text[position : match.start()])
        position = match.end()
        bracket = match.group().strip(" \t:")
        opener = _CLOSES.get(bracket)
        if opener is None:
            stack.append((bracket, []))
            open_now[bracket] += 1
        elif open_now[opener]:
            while stack[-1][0] != opener:
                kind, unclosed = stack.pop()
                open_now[kind] -= 1
                stack[-1][1].extend(unclosed)
            kind, inner = stack.pop()
            open_now[kind] -= 1
            stack[-1][1].append(_rendered(kind, "".join(inner)))
    stack[-1][1].append(text[position:])
    return "".join("".join(pieces) for _, pieces in stack)


def _rendered(kind: str, inner: str) -> str:
    if kind == "[[":
        return _link(inner)
    return _template(inner) if kind == "{{" else ""


def _link(inner: str) -> str:
    target, bar, label = inner.partition("|")
    if target.startswith(":"):
        target = target[1:]
    elif _NAMESPACE.match(target) and ": " not in target:
        return ""  # File:, Image:, Category:, other languages
    return label if bar else target


def _template(inner: str) -> str:
    """The text of the few templates without which sentences would have holes."""
    name, *values = [part.strip() for part in inner.split("|")]
    name = name.lower()
    plain = [value for value in values if "=" not in value]
    if name in ("convert", "cvt") and len(plain) >= 2:
        is_range = plain[1] in _RANGES and len(plain) >= 4
        return " ".join(plain[: 4 if is_range else 2])
    if name == "lang" and len(plain) >= 2:
        return plain[1]
    if name in ("nowrap", "nobr") and plain:
        return plain[0]
    if name in ("ndash", "spaced ndash", "snd"):
        return " \N{EN DASH} "
    return ""


def _prose_lines(text: str) -> Iterator[str]:
    """The lines that are neither headings, lists nor part of an appendix such as References."""
    skipped_level = 0  # level of the appendix' heading; 0: not in one
    for line in text.split("\n"):
        if line.startswith("="):
            name = line.strip().strip("=")
            level = len(line) - len(line.lstrip("="))
            if not skipped_level or level <= skipped_level:
                skipped_level = level if name.strip().lower() in _APPENDICES else 0
        elif not skipped_level and not line.startswith(_NOT_PROSE):
            yield line


def _tidy(line: str) -> str:
    line = " ".join(html.unescape(line).split())
    line = _EMPTY_PARENTHESES.sub("", line)
    line = _AFTER_PARENTHESIS.sub("(", line)
    return _BEFORE_MARK.sub(r"\1", line)


def _is_prose(paragraph: str) -> bool:
    return len(paragraph) >= SHORTEST_PARAGRAPH and paragraph.endswith(_SENTENCE_ENDS)

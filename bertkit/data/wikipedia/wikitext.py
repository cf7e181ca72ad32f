"""The prose of a page of MediaWiki's.

Not a renderer: what needs MediaWiki to be run (templates, tables, formulas) is left out, so that
sentences remain. Every step is linear in the length of the text, whatever the text is.
"""

from __future__ import annotations

import html
import re
from typing import Dict, Iterator, List, Tuple

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
_FILE = re.compile(r"(?:file|image|media|category)\s*:", re.IGNORECASE)
_EXTERNAL = re.compile(r"\[(?:https?:|ftp:|mailto:)?//[^\s\]]+(?:[ \t]+([^\[\]\n]*))?\]")
_BARE_URL = re.compile(r"\b(?:https?|ftp)://\S+")
_QUOTES = re.compile(r"'{2,}")
_MAGIC = re.compile(r"__[A-Z]+__")
_EMPTY_PARENTHESES = re.compile(r"\s*\([\s,;:]*\)")
_AFTER_PARENTHESIS = re.compile(r"\(\s*[,;:]\s*")
_BEFORE_MARK = re.compile(r"[ \t]+([,.;:!?)](?:\s|$))")

_NOT_PROSE = ("*", "#", ";", "|", "!", "{", "}", "=")
# Indented lines are quotations, or the old form of what {{main}} and {{see also}} say today.
_POINTER = re.compile(r"(?:see|main|for|further|this (?:article|page))\b", re.IGNORECASE)
_APPENDICES = {
    "bibliography", "citations", "discography", "external links", "footnotes", "further reading",
    "gallery", "notes", "notes and references", "references", "see also", "sources", "works",
}  # fmt: skip
_RANGES = ("to", "and", "or", "by", "x", "-", "\N{EN DASH}")  # {{convert|55|to|80|cm}}
_QUOTATIONS = ("quote", "blockquote", "quotation", "cquote", "rquote", "centered pull quote")
_UNITS = {"C": "\N{DEGREE SIGN}C", "F": "\N{DEGREE SIGN}F", "sqmi": "square miles"}
_SENTENCE_ENDS = (".", "!", "?", ":", ";", '"', "'", ")", "\N{RIGHT DOUBLE QUOTATION MARK}")
_WITHIN = re.compile(r"[.!?][\"')\N{RIGHT DOUBLE QUOTATION MARK}]*(?=\s)")
_CLOSES = {"]]": "[[", "}}": "{{", "|}": "{|"}


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
    paragraphs = map(_paragraph, _blocks(text))
    return [paragraph for paragraph in paragraphs if len(paragraph) >= SHORTEST_PARAGRAPH]


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
    elif _FILE.match(target) or (_NAMESPACE.match(target) and ": " not in target):
        return ""  # File:, Image:, Category:, other languages
    return label if bar else target


def _template(inner: str) -> str:
    """The text of the few templates without which sentences would have holes."""
    name, *values = [part.strip() for part in inner.split("|")]
    name = name.lower()
    plain = [value for value in values if "=" not in value]
    if name in ("convert", "cvt") and len(plain) >= 2:
        is_range = plain[1] in _RANGES and len(plain) >= 4
        words = plain[: 4 if is_range else 2]
        return " ".join([*words[:-1], _UNITS.get(words[-1], words[-1])])
    if name in _QUOTATIONS:
        named = [v.partition("=")[2] for v in values if v.startswith(("text", "quote", "1="))]
        return "\n" + (named or plain or [""])[0].strip() + "\n"
    if name == "lang" and len(plain) >= 2:
        return plain[1]
    if name in ("nowrap", "nobr") and plain:
        return plain[0]
    if name in ("ndash", "spaced ndash", "snd"):
        return " \N{EN DASH} "
    return ""


def _blocks(text: str) -> Iterator[List[str]]:
    """Lines that are one paragraph together, neither of lists nor of an appendix (References)."""
    skipped_level = 0  # level of the appendix' heading; 0: not in one
    block: List[str] = []
    for line in text.split("\n"):
        if line[:1].isalnum() and not skipped_level:
            block.append(line)  # most lines
            continue
        if line.startswith("="):
            name = line.strip().strip("=")
            level = len(line) - len(line.lstrip("="))
            if not skipped_level or level <= skipped_level:
                skipped_level = level if name.strip().lower() in _APPENDICES else 0
        if not skipped_level and line.strip() and not line.startswith((*_NOT_PROSE, ":", " ")):
            block.append(line)
            continue
        yield block
        block = []
        if skipped_level or line.startswith(_NOT_PROSE):
            continue
        inner = line.lstrip(":").strip()
        pointer = line.startswith(":") and len(inner) < 150 and _POINTER.match(inner)
        if inner and not pointer and not inner.startswith(_NOT_PROSE):
            yield [inner]  # indented: by itself
    yield block


def _paragraph(lines: List[str]) -> str:
    """*lines* in one, up to where the last whole sentence ends."""
    text = " ".join(filter(None, map(_tidy, lines)))
    if text.endswith(_SENTENCE_ENDS):
        return text
    ends = [match.end() for match in _WITHIN.finditer(text)]
    return text[: ends[-1]] if ends else ""


def _tidy(line: str) -> str:
    line = " ".join(html.unescape(line).split())
    line = _EMPTY_PARENTHESES.sub("", line)
    line = _AFTER_PARENTHESIS.sub("(", line)
    return _BEFORE_MARK.sub(r"\1", line)

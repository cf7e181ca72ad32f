"""Articles from the XML of a dump, and counts of the pages that are none."""

from __future__ import annotations

from io import BytesIO
from typing import Dict, Iterator, List, NamedTuple
from xml.etree import ElementTree

from bertkit.data.wikipedia.wikitext import plain_text

#: what becomes of pages; each page is counted once besides in ``pages``
KINDS = ("articles", "redirects", "other_namespaces", "empty_pages", "without_prose")


class Article(NamedTuple):
    """One page of the encyclopedia."""

    number: str
    title: str
    paragraphs: List[str]


class _Page(NamedTuple):
    number: str
    title: str
    namespace: str
    redirect: bool
    text: str


def no_pages() -> Dict[str, int]:
    """Counts to begin with."""
    return dict.fromkeys(("pages", *KINDS), 0)


def articles_in(xml: bytes, counts: Dict[str, int]) -> Iterator[Article]:
    """The articles that have prose in ``<page>`` elements without anything around them.

    Args:
        xml: the elements.
        counts: from :func:`no_pages`; counts all pages, and what becomes of them.

    Raises:
        ElementTree.ParseError: it is not that.
    """
    # The last stream of a dump also closes what its first one opened.
    closing = xml.rstrip()
    if closing.endswith(b"</mediawiki>"):
        xml = closing[: -len(b"</mediawiki>")]
    for page in _pages(b"<mediawiki>" + xml + b"</mediawiki>"):
        counts["pages"] += 1
        paragraphs: List[str] = []
        kind = _kind(page)
        if kind == "articles":
            paragraphs = plain_text(page.text)
            kind = "articles" if paragraphs else "without_prose"
        counts[kind] += 1
        if paragraphs:
            yield Article(page.number, page.title, paragraphs)


def _kind(page: _Page) -> str:
    if page.namespace not in ("", "0"):
        return "other_namespaces"
    if page.redirect or page.text[:9].upper() == "#REDIRECT":
        return "redirects"
    return "articles" if page.text.strip() else "empty_pages"


def _pages(xml: bytes) -> Iterator[_Page]:
    root = None
    number = title = namespace = text = ""
    redirect = False
    for event, element in ElementTree.iterparse(BytesIO(xml), events=("start", "end")):
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
            yield _Page(number, title, namespace, redirect, text)
            number = title = namespace = text = ""
            redirect = False
            root.clear()  # else all pages would stay in memory

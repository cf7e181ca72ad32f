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


class Page(NamedTuple):
    """Any page of a dump; *text* is wikitext."""

    number: str
    title: str
    namespace: str
    redirect: bool
    text: str

    @property
    def kind(self) -> str:
        """One of ``KINDS``, but for ``without_prose``, which only its prose can tell."""
        if self.namespace not in ("", "0"):
            return "other_namespaces"
        if self.redirect or self.text[:9].upper() == "#REDIRECT":
            return "redirects"
        return "articles" if self.text.strip() else "empty_pages"


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
    for page in pages_in(xml):
        counts["pages"] += 1
        paragraphs: List[str] = []
        kind = page.kind
        if kind == "articles":
            paragraphs = plain_text(page.text)
            kind = "articles" if paragraphs else "without_prose"
        counts[kind] += 1
        if paragraphs:
            yield Article(page.number, page.title, paragraphs)


def pages_in(xml: bytes) -> Iterator[Page]:
    """All pages in ``<page>`` elements without anything around them.

    Raises:
        ElementTree.ParseError: it is not that.
    """
    # The last stream of a dump also closes what its first one opened.
    closing = xml.rstrip()
    if closing.endswith(b"</mediawiki>"):
        xml = closing[: -len(b"</mediawiki>")]
    xml = b"<mediawiki>" + xml + b"</mediawiki>"
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
            yield Page(number, title, namespace, redirect, text)
            number = title = namespace = text = ""
            redirect = False
            root.clear()  # else all pages would stay in memory

"""A MediaWiki dump as one article a line."""

import html
import re
import xml.etree.ElementTree as ET

DROPPED = (
    re.compile(r"<!--.*?-->|<ref[^>/]*/>|<ref.*?</ref>|<[^>]+>", re.S),
    re.compile(r"\{\|.*?\|\}", re.S),
    re.compile(r"^[*#:;=].*$", re.M),
)
INNERMOST_TEMPLATE = re.compile(r"\{\{[^{}]*\}\}")
FILE_LINK = re.compile(r"\[\[(?:File|Image|Category):[^\[\]]*(?:\[\[[^\[\]]*\]\][^\[\]]*)*\]\]")
LINK = re.compile(r"\[\[(?:[^\[\]|]*\|)?([^\[\]|]*)\]\]")
WEB_LINK = re.compile(r"\[https?://\S+ ?([^\]]*)\]")


def plain(markup):
    """The running text of a page. Far from what WikiExtractor does: enough for small dumps."""
    text = markup
    for pattern in DROPPED:
        text = pattern.sub(" ", text)
    changed = 1
    while changed:
        text, changed = INNERMOST_TEMPLATE.subn(" ", text)
    text = FILE_LINK.sub(" ", text)
    text = WEB_LINK.sub(r"\1", LINK.sub(r"\1", text))
    return " ".join(html.unescape(text.replace("'''", "").replace("''", "")).split())


def articles(dump):
    """The plain text of each article, without redirects and pages outside the main namespace."""
    page = {}
    for _, element in ET.iterparse(dump):
        name = element.tag.rpartition("}")[2]
        if name in ("ns", "text"):
            page[name] = element.text or ""
        elif name == "redirect":
            page[name] = ""
        elif name == "page":
            text = plain(page.get("text", ""))
            if page.get("ns") == "0" and "redirect" not in page and text:
                yield text
            page = {}
            element.clear()


def write_one_article_per_line(dump, output_file):
    with open(output_file, "w", encoding="utf-8") as file:
        file.writelines(article + "\n" for article in articles(dump))

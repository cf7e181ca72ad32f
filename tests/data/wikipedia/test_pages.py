"""Articles are taken from the XML of a dump, and what is left out is counted."""

from xml.etree import ElementTree

import pytest

from bertkit.data.wikipedia.pages import articles_in, no_pages

from ..dumps import page, prose

REDIRECT = '<redirect title="Page 1"/>'


def read(*pages):
    counts = no_pages()
    return list(articles_in(b"\n".join(pages), counts)), counts


@pytest.mark.parametrize(
    ("xml", "kind"),
    [
        (page(1, prose(1)), "articles"),
        (page(2, prose(2), redirect=REDIRECT), "redirects"),
        (page(3, "#redirect [[Page 1]] and so on, long enough to be a paragraph."), "redirects"),
        (page(4, prose(4), namespace="1"), "other_namespaces"),
        (page(5, "", namespace="14", redirect=REDIRECT), "other_namespaces"),
        (page(6, ""), "empty_pages"),
        (page(7, " \n"), "empty_pages"),
        (page(8, "{{Infobox|name=A}}\n* a list\n"), "without_prose"),
        (page(9, "'''Mercury''' may refer to:\n* [[Mercury (planet)]]"), "without_prose"),
    ],
)
def test_each_page_is_counted_as_what_it_is(xml, kind):
    found, counts = read(xml)
    assert {name for name, count in counts.items() if count} == {"pages", kind}
    assert len(found) == (kind == "articles")


def test_an_article_has_its_own_number_and_title_and_entities_as_characters():
    xml = page(3, prose(3) + " It is &amp;lt; here.")
    (article,), _ = read(page(2, "", redirect=REDIRECT), xml, b"</mediawiki>\n")
    assert (article.number, article.title) == ("3", "Page 3")
    assert article.paragraphs == [prose(3) + " It is < here."]


def test_xml_that_is_none_is_told():
    with pytest.raises(ElementTree.ParseError):
        read(b"<page><title>A</title>")

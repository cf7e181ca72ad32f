"""Dumps as Wikimedia publishes them, made of real pages: the ones that gensim's package carries."""

import bz2
import re

from bertkit.data.samples import sources


def pages_of_sample():
    """What stands before the pages of the sample's dump, its pages, and what stands behind."""
    with bz2.open(sources.sample_dump()) as stream:
        xml = stream.read()
    head, *pages = re.split(rb"(?=<page>)", xml)
    end = pages[-1].index(b"</page>") + len(b"</page>")
    tail = pages[-1][end:]
    pages[-1] = pages[-1][:end]
    return head, pages, tail


def write_multistream(directory, pages, head=b"<mediawiki>", tail=b"</mediawiki>", together=10):
    """A multistream dump of *pages*, and its index beside it; gives the dump's path."""
    content = bz2.compress(head)
    lines = []
    for start in range(0, len(pages), together):
        for page in pages[start : start + together]:
            title = re.search(rb"<title>(.*?)</title>", page).group(1)
            number = re.search(rb"<id>(\d+)</id>", page).group(1)
            lines.append(b"%d:%s:%s\n" % (len(content), number, title))
        content += bz2.compress(b"\n".join(pages[start : start + together]) + b"\n")
    content += bz2.compress(tail)
    dump = directory / "testwiki-20260101-pages-articles-multistream.xml.bz2"
    dump.write_bytes(content)
    index = dump.with_name(dump.name.replace(".xml.bz2", "-index.txt.bz2"))
    index.write_bytes(bz2.compress(b"".join(lines)))
    return dump


def page(number, text, namespace="0", redirect=""):
    """One page of XML."""
    return (
        f"<page><title>Page {number}</title><ns>{namespace}</ns><id>{number}</id>{redirect}"
        f"<revision><id>9{number}</id><text>{text}</text></revision></page>"
    ).encode()


def prose(number, sentences=12):
    """Text enough for records, different in each page."""
    return " ".join(
        f"The number {number} has a history of {count} years, and people in town {number + count} "
        f"still tell stories about how it began."
        for count in range(sentences)
    )

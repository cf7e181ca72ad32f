"""A dump of one bz2 stream is read in ranges, and each page is in one of them."""

import bz2
import random
import re

import pytest

from bertkit.data.samples import sources
from bertkit.data.wikipedia.blocks import blocks, pages_between
from bertkit.errors import DataDamaged

from ..dumps import page


@pytest.fixture(scope="module")
def real():
    """The sample's dump, one stream of seven blocks, and its XML."""
    dump = sources.sample_dump()
    return dump, bz2.decompress(dump.read_bytes())


def pages_in(dump, step):
    """The pages of *dump*, read in ranges of *step* bytes."""
    found = []
    for begin in range(0, max(dump.stat().st_size, 1), step):
        for _, xml in pages_between(dump, begin, begin + step):
            found += re.findall(rb"<page>.*?</page>", xml, re.DOTALL)
    return found


def written(directory, content):
    path = directory / "dump.xml.bz2"
    path.write_bytes(content)
    return path


def wiki(*texts):
    return b"<mediawiki>" + b"\n".join(page(n, t) for n, t in enumerate(texts)) + b"</mediawiki>\n"


def letters(seed, count):
    """Text that can hardly be compressed."""
    return f"{random.Random(seed).getrandbits(4 * count):x}"


def test_blocks_one_by_one_are_the_whole_text(real):
    dump, xml = real
    assert b"".join(block.content for block in blocks(dump, 0)) == xml


@pytest.mark.parametrize("step", [60_000, 1 << 18, 1 << 30])
def test_ranges_of_any_length_have_each_page_of_the_real_dump_once(real, step):
    dump, xml = real
    assert pages_in(dump, step) == re.findall(rb"<page>.*?</page>", xml, re.DOTALL)


def test_pages_longer_than_several_blocks_are_whole(tmp_path):
    """At level 1 blocks have 100 kB."""
    texts = [letters(n, 1000 * (n % 7) + (250_000 if n == 20 else 1)) for n in range(100)]
    xml = wiki(*texts)
    dump = written(tmp_path, bz2.compress(xml, 1))
    assert pages_in(dump, 9_000) == re.findall(rb"<page>.*?</page>", xml, re.DOTALL)


@pytest.mark.parametrize("cut", range(7))
def test_a_tag_on_the_border_of_two_blocks_begins_one_page(tmp_path, cut):
    """Streams one behind the other, as pbzip2 writes them, end where one wants."""
    xml = wiki("one", "two", "three")
    border = xml.rindex(b"<page>") + cut
    first, second = bz2.compress(xml[:border]), bz2.compress(xml[border:])
    dump = written(tmp_path, first + second)
    middle = len(first)
    found = [
        sum(xml.count(b"<page>") for _, xml in pages_between(dump, *ends))
        for ends in ((0, middle), (middle, middle + len(second)))
    ]
    assert found == ([3, 0] if cut else [2, 1])


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (lambda content: content[:-2000], "ends in the middle of a block"),
        (lambda content: content[:200_000] + b"\x00\xff" + content[200_002:], "sum is wrong"),
        (lambda content: b"<html>no dump</html>", "no bz2"),
        (lambda content: b"", "no bz2"),
        (lambda content: bz2.compress(b"<mediawiki>" + page(1, "one")), "is cut"),
        (lambda content: bz2.compress(b"<mediawiki><page><title>A"), "does not end"),
    ],
)
def test_a_damaged_dump_is_named(real, tmp_path, harm, why):
    dump = written(tmp_path, harm(real[0].read_bytes()))
    with pytest.raises(DataDamaged, match=why) as caught:
        pages_in(dump, 1 << 30)
    assert str(dump) in str(caught.value)

"""A dump of one bz2 stream, read from the middle: bz2 compresses blocks apart from each other.

A block, of up to 900 kB of text, begins with 48 bits that hardly ever come up by chance, at any bit
of the file; so does the end of a stream. What stands between two of these marks is a block, which
becomes a stream of its own with a head and an end. So any number of processes read one stream, each
a range of the file, and a kill costs the ranges under way.
"""

from __future__ import annotations

import bz2
from pathlib import Path
from typing import IO, Iterator, List, NamedTuple, Optional, Tuple

from bertkit.errors import DataDamaged

_BLOCK, _END = 0x314159265359, 0x177245385090
_MARK_BITS, _SUM_BITS = 48, 32
_AT_ONCE = 1 << 20
#: a mark that comes up by chance within a block is passed over; this many in one are no chance
_MOST_BY_CHANCE = 3

_PAGE, _PAGE_ENDS, _LAST = b"<page>", b"</page>", b"</mediawiki>"


class Block(NamedTuple):
    """Where a block begins in the file, in bytes, and its text."""

    offset: int
    content: bytes


def pages_between(dump: Path, begin: int, end: int) -> Iterator[Tuple[int, bytes]]:
    """The pages that begin in blocks that begin from byte *begin* up to *end* of *dump*.

    Returns:
        Pieces of XML, each some whole ``<page>`` elements, with the byte at which their last block
        begins. All ranges of a file together give each of its pages once.

    Raises:
        DataDamaged: the file is no bz2, is cut or damaged, or a page does not end.
    """
    rest = tail = b""  # what follows the last whole page; the last that was read
    for offset, content in blocks(dump, begin):
        tail = tail[-len(_LAST) :] + content[-2 * len(_LAST) :]
        if offset >= end:
            start = rest.find(_PAGE)
            own = len(rest)
            rest += content
            # A tag may be cut by the border: whose block has its first byte has the page.
            start = start if start >= 0 else rest.find(_PAGE, max(0, own - len(_PAGE) + 1))
            if not 0 <= start < own:
                return
            ends = rest.find(_PAGE_ENDS, start)
            if ends >= 0:
                yield offset, rest[start : ends + len(_PAGE_ENDS)]
                return
            # A page longer than a block; what is before it is not needed any more.
            end, rest = offset + 1, rest[start:]
            continue
        rest += content
        start, ends = rest.find(_PAGE), rest.rfind(_PAGE_ENDS)
        if 0 <= start < ends:
            yield offset, rest[start : ends + len(_PAGE_ENDS)]
        if ends >= 0:
            rest = rest[ends + len(_PAGE_ENDS) :]
        start = rest.find(_PAGE)
        rest = rest[start if start >= 0 else -len(_PAGE) + 1 :]
    if _PAGE in rest:
        raise _damaged(dump, begin, "its last page does not end")
    if tail and not tail.rstrip().endswith(_LAST):
        raise _damaged(dump, begin, f"it does not end with {_LAST.decode()}: it is cut")


def blocks(dump: Path, begin: int) -> Iterator[Block]:
    """The blocks of *dump* that begin at byte *begin* or later, as many as are taken.

    Raises:
        DataDamaged: there is no block in the whole file, one is damaged, or the file is cut.
    """
    with dump.open("rb") as stream:
        block: Optional[int] = None  # the bit at which it begins
        marks = chances = 0
        for bit, is_block in _marks(stream, begin):
            marks += 1
            if block is not None:
                content = _decompressed(stream, block, bit)
                if content is None:
                    chances += 1
                    if chances > _MOST_BY_CHANCE:
                        raise _damaged(dump, block // 8, "a block's sum is wrong")
                    continue
                yield Block(block // 8, content)
            block, chances = bit if is_block else None, 0
        if not marks and begin == 0:
            raise _damaged(dump, 0, "it is no bz2 file")
        if block is not None:
            raise _damaged(dump, block // 8, "the file ends in the middle of a block")


def _marks(stream: IO[bytes], begin: int) -> Iterator[Tuple[int, bool]]:
    """Where blocks and ends of streams begin, in bits, and whether it is a block."""
    while True:
        stream.seek(begin)
        content = stream.read(_AT_ONCE + _MARK_BITS // 8)
        found = [
            (begin * 8 + bit, mark == _BLOCK)
            for mark in (_BLOCK, _END)
            for bit in _found(content, mark)
            if bit < _AT_ONCE * 8
        ]
        yield from sorted(found)
        if len(content) < _AT_ONCE:
            return
        begin += _AT_ONCE


def _found(content: bytes, mark: int) -> List[int]:
    """At which bits of *content* the *mark* begins."""
    found = []
    for shift in range(8):
        shifted = (mark << (8 - shift)).to_bytes(7, "big")
        inner = shifted[1:6]  # whole bytes; before and after them, other bits share the byte
        first, last = (1 << (8 - shift)) - 1, 0xFF00 >> shift & 0xFF
        at = content.find(inner, 1)
        while at > 0:
            if content[at - 1] & first == shifted[0] and (
                not shift or (at + 5 < len(content) and content[at + 5] & last == shifted[6])
            ):
                found.append((at - 1) * 8 + shift)
            at = content.find(inner, at + 1)
    return found


def _decompressed(stream: IO[bytes], begin: int, end: int) -> Optional[bytes]:
    """The text of the block from bit *begin* up to *end*; None if that is none."""
    stream.seek(begin // 8)
    content = stream.read((end + 7) // 8 - begin // 8)
    bits = int.from_bytes(content, "big") >> (-end % 8)
    bits &= (1 << (end - begin)) - 1
    # A stream's sum is made from its blocks' sums; of one block it is the block's own.
    block_sum = bits >> (end - begin - _MARK_BITS - _SUM_BITS) & 0xFFFFFFFF
    bits = (bits << _MARK_BITS | _END) << _SUM_BITS | block_sum
    length = end - begin + _MARK_BITS + _SUM_BITS
    whole = (bits << (-length % 8)).to_bytes((length + 7) // 8, "big")
    decompressor = bz2.BZ2Decompressor()
    try:
        text = decompressor.decompress(b"BZh9" + whole)
    except (OSError, EOFError):
        return None
    return text if decompressor.eof else None


def _damaged(dump: Path, offset: int, why: str) -> DataDamaged:
    return DataDamaged(
        "the dump is damaged",
        where=f"{dump}, byte {offset}",
        why=why,
        next_step="fetch it again, and run the same command",
    )

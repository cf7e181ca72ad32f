"""A multistream dump: small bz2 streams one behind the other, each a hundred pages of XML.

Its index names each page and the offset of the stream that it is in, so that streams can be read
apart from each other, by any number of processes, and the dump is never decompressed to disk.
"""

from __future__ import annotations

import bz2
from pathlib import Path
from typing import Iterator, List, Tuple

from bertkit.errors import DataDamaged

#: begin and end of one stream in the dump, in bytes
Extent = Tuple[int, int]


def extents(dump: Path, index: Path) -> List[Extent]:
    """Where the dump's streams of pages lie, in order.

    Raises:
        DataDamaged: the index cannot be read, or it is not this dump's.
    """
    size = dump.stat().st_size
    offsets: List[int] = []
    try:
        with bz2.open(index, "rt", encoding="utf-8") as lines:
            for line in lines:
                offset = int(line.partition(":")[0])
                if not offsets or offset > offsets[-1]:
                    offsets.append(offset)
                elif offset != offsets[-1]:
                    raise ValueError("its offsets do not rise")
    except (OSError, EOFError, ValueError) as error:
        raise _misfit(dump, index, str(error)) from None
    if not offsets or offsets[-1] >= size:
        why = f"it speaks of byte {offsets[-1]}, the dump has {size}" if offsets else "it is empty"
        raise _misfit(dump, index, why)
    return list(zip(offsets, [*offsets[1:], size]))


def pages_of(dump: Path, streams: List[Extent]) -> Iterator[bytes]:
    """The XML of each of *streams*: ``<page>`` elements without anything around them.

    Raises:
        DataDamaged: a stream is cut or damaged, or does not begin where it should.
    """
    with dump.open("rb") as stream:
        for begin, end in streams:
            stream.seek(begin)
            decompressor = bz2.BZ2Decompressor()
            try:
                content = decompressor.decompress(stream.read(end - begin))
            except OSError as error:
                raise _damaged(dump, begin, str(error)) from None
            if not decompressor.eof:
                raise _damaged(dump, begin, "the stream is cut")
            yield content


def _damaged(dump: Path, offset: int, why: str) -> DataDamaged:
    return DataDamaged(
        "the dump is damaged, or its index is of another one",
        where=f"{dump}, byte {offset}",
        why=why,
        next_step="remove both and run the same command again: it fetches them anew",
    )


def _misfit(dump: Path, index: Path, why: str) -> DataDamaged:
    return DataDamaged(
        "the dump's index cannot be used",
        where=index,
        why=f"{why} ({dump.name})",
        next_step="remove both and run the same command again: it fetches them anew",
    )

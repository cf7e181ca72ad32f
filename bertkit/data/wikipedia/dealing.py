"""Which file an article goes to: by a seeded hash of its text, and so that files become equal."""

from __future__ import annotations

import hashlib
from typing import Iterator, List, Optional, Tuple

from bertkit.data.layout import SPLITS

#: darts that a digest has, of eight bytes each
_DARTS = 4
#: the part of the text that darts deal; the rest makes equal what they left unequal
_BY_DARTS = 0.995


def digest_of(text: str, seed: int) -> bytes:
    """The seeded hash of an article, for :meth:`Dealer.place`."""
    key = hashlib.sha256(str(seed).encode("ascii")).digest()
    return hashlib.blake2b(text.encode("utf-8"), digest_size=8 * _DARTS, key=key).digest()


class Dealer:
    """Deals articles to files of known size, as darts thrown at the room that is left in them.

    How much text there will be is known, and so how much each file shall hold. An article's hash
    is a dart: a file is hit as often as it has room left. So files fill up together, at random as
    long as there is room, whatever the articles' lengths. A dart that hits a file with too little
    room is thrown again; if none of an article's darts fits, and at the very end, an article goes
    to the file that is then the emptiest for its share.

    With few articles, chance may leave a file with next to nothing: when half of the text is
    dealt, files that are not a third full get first what they have room for.

    Args:
        shards: training files, and as many test files.
        test_fraction: of the text, to be held out for evaluation.
        total: bytes of the whole text; half a percent more or less does no harm.
    """

    def __init__(self, shards: int, test_fraction: float, total: int) -> None:
        parts = {"training": 1 - test_fraction, "test": test_fraction}
        # Test first: where the same text comes twice, its darts hit the same side of the border.
        self._files = [(split, number) for split in reversed(SPLITS) for number in range(shards)]
        self._shares = [parts[split] / shards for split, _ in self._files]
        self._left = [int(total * _BY_DARTS * share) for share in self._shares]
        self._room = _Room(self._left)
        self._two_thirds = [left * 2 // 3 for left in self._left]
        self._half = self._room.total // 2
        self._behind = list(range(len(self._files)))

    def place(self, size: int, digest: bytes) -> Tuple[str, int]:
        """Split and number of the file for the next article, which has *size* bytes."""
        chosen = self._one_behind(size, digest)
        if chosen is None:
            chosen = self._hit(size, digest)
        if chosen is None:
            filled = [(left - size) / share for left, share in zip(self._left, self._shares)]
            chosen = filled.index(max(filled))
        before = self._left[chosen]
        self._left[chosen] = before - size
        self._room.less(chosen, max(before, 0) - max(before - size, 0))
        return self._files[chosen]

    def _one_behind(self, size: int, digest: bytes) -> Optional[int]:
        if self._room.total > self._half:
            return None
        self._behind = [file for file in self._behind if self._left[file] > self._two_thirds[file]]
        fit = [file for file in self._behind if self._left[file] >= size]
        return fit[_number(digest, 0, len(fit))] if fit else None

    def _hit(self, size: int, digest: bytes) -> Optional[int]:
        for dart in range(_DARTS if self._room.total else 0):
            hit = self._room.at(_number(digest, dart, self._room.total))
            if self._left[hit] >= size:
                return hit
        return None


def _number(digest: bytes, dart: int, limit: int) -> int:
    """A number below *limit*."""
    return (int.from_bytes(digest[8 * dart : 8 * dart + 8], "big") * limit) >> 64


class _Room:
    """Bytes that are left in each file, as a tree of sums (Fenwick's)."""

    def __init__(self, sizes: List[int]) -> None:
        self.total = sum(sizes)
        self._sums = [0, *sizes]
        for node, above in self._edges():
            self._sums[above] += self._sums[node]
        self._highest = 1 << (len(sizes).bit_length() - 1)

    def _edges(self) -> Iterator[Tuple[int, int]]:
        for node in range(1, len(self._sums)):
            if node + (node & -node) < len(self._sums):
                yield node, node + (node & -node)

    def less(self, file: int, size: int) -> None:
        """Take *size* from the room of *file*."""
        self.total -= size
        node = file + 1
        while node < len(self._sums):
            self._sums[node] -= size
            node += node & -node

    def at(self, byte: int) -> int:
        """The file that has this byte, from 0, of all room that is left."""
        node, step = 0, self._highest
        while step:
            if node + step < len(self._sums) and self._sums[node + step] <= byte:
                node += step
                byte -= self._sums[node]
            step >>= 1
        return node

"""Articles dealt to files of training and test text, in one pass and constant memory."""

from __future__ import annotations

import hashlib
from typing import List, Tuple

from bertkit.data.layout import SPLITS


class Sharder:
    """Gives each article to the shard that is the emptiest for its share.

    So shards differ by about one article at most, whatever the articles' lengths, and where an
    article goes depends on the articles before it and the seed alone.

    Args:
        shards: training files, and as many test files.
        test_fraction: of the text, to be held out for evaluation.
        seed: orders the shards, which decides between equals.
    """

    def __init__(self, shards: int, test_fraction: float, seed: int) -> None:
        shares = {"training": 1 - test_fraction, "test": test_fraction}
        self._shards: List[Tuple[str, int]] = sorted(
            ((split, number) for split in SPLITS for number in range(shards)),
            key=lambda shard: hashlib.sha256(f"{seed} {shard[0]} {shard[1]}".encode()).digest(),
        )
        self._shares = [shares[split] / shards for split, _ in self._shards]
        self._sizes = [0] * len(self._shards)

    def place(self, size: int) -> Tuple[str, int]:
        """Split and number of the shard for the next article, which has *size* characters."""
        filled = [(had + size) / share for had, share in zip(self._sizes, self._shares)]
        emptiest = filled.index(min(filled))
        self._sizes[emptiest] += size
        return self._shards[emptiest]

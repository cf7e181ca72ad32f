"""Chance that depends on names alone, the same on every Python and every numpy.

``random.Random.random`` and the raw numbers of PCG64 are promised never to change. What is built on
them elsewhere (``randrange``, ``shuffle``, ``Generator.integers``) is not, so that is built here.
"""

from __future__ import annotations

import hashlib
import random
from typing import Any, List, Tuple

Array = Any  # numpy.ndarray


def seeded(*names: object) -> random.Random:
    """A generator that depends on *names* alone: seed, shard, duplicate and so on."""
    return random.Random(_number_of(names))


def below(rng: random.Random, limit: int) -> int:
    """A number from 0 to *limit* - 1."""
    return int(rng.random() * limit)


def shuffle(items: List[Any], rng: random.Random) -> None:
    """Put *items* in random order, in place."""
    for i in range(len(items) - 1, 0, -1):
        j = below(rng, i + 1)
        items[i], items[j] = items[j], items[i]


class Draws:
    """Many numbers at once; like :func:`seeded`, they depend on *names* alone."""

    def __init__(self, *names: object) -> None:
        import numpy as np

        self._bits = np.random.PCG64(_number_of(names))

    def uniform(self, *shape: int) -> Array:
        """float64 from 0 up to, but not, 1."""
        count = 1
        for size in shape:
            count *= size
        return ((self._bits.random_raw(count) >> 11) * 2.0**-53).reshape(shape)

    def order(self, count: int) -> Array:
        """The numbers from 0 to *count* - 1 in random order."""
        return self.uniform(count).argsort(kind="stable")


def _number_of(names: Tuple[object, ...]) -> int:
    text = "\0".join(str(name) for name in names)
    return int.from_bytes(hashlib.sha256(text.encode("utf-8")).digest()[:8], "big")

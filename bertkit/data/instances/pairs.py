"""Pairs of segments, half of them unrelated: what the next-sentence task is made of.

The rules are those of upstream's ``create_pretraining_data.py`` (which are Google's). One thing
differs: where a shard has a single document, upstream labels a random stretch of the document
itself as its true continuation; here there is no random next then.
"""

from __future__ import annotations

import random
from bisect import bisect_left
from typing import Any, Iterator, List, Sequence, Tuple

from bertkit.data.chance import Draws, below, seeded

Array = Any  # numpy.ndarray

SHORT_SEQ_PROB = 0.1

#: begin and end of A, begin and end of B in a shard's token ids; 1: B is from another document
Pair = Tuple[int, int, int, int, int]


def pairs_of_shard(
    documents: Sequence[List[int]], seq_len: int, duplicates: int, seed: Tuple[object, ...]
) -> Array:
    """All pairs of a shard in random order: an int64 array with a row for each, see ``Pair``.

    Args:
        documents: where each document's sentences begin, and where its last one ends.
        seq_len: most tokens of a pair, [CLS] and both [SEP] included.
        duplicates: how often each document is gone through.
        seed: what the pairs depend on; each duplicate has its own.
    """
    import numpy as np

    found: List[Pair] = []
    for duplicate in range(duplicates):
        rng = seeded(*seed, duplicate)
        for index in range(len(documents)):
            found += pairs_of_document(documents, index, seq_len - 3, rng)
    pairs = np.array(found, dtype=np.int64).reshape(-1, 5)
    return pairs[Draws(*seed, "order").order(len(pairs))]


def pairs_of_document(
    documents: Sequence[List[int]], index: int, most: int, rng: random.Random
) -> Iterator[Pair]:
    """The pairs of one document; together A and B may be longer than *most* tokens."""
    edges = documents[index]
    sentences = len(edges) - 1
    target = most
    if rng.random() < SHORT_SEQ_PROB:
        target = 2 + below(rng, most - 1)
    first = 0
    while first < sentences:
        # The chunk ends with the sentence that reaches the target, or with the document.
        end = min(bisect_left(edges, edges[first] + target, first + 1), sentences)
        count = end - first
        middle = first + (1 + below(rng, count - 1) if count > 1 else 1)
        a = edges[first], edges[middle]
        random_next = count == 1 or rng.random() < 0.5
        if random_next and len(documents) > 1:
            other = below(rng, len(documents) - 1)
            theirs = documents[other + (other >= index)]
            start = below(rng, len(theirs) - 1)
            wanted = theirs[start] + target - (a[1] - a[0])
            stop = min(bisect_left(theirs, wanted, start + 1), len(theirs) - 1)
            yield (*a, theirs[start], theirs[stop], 1)
            first = middle  # the sentences that B did not use are not lost
        else:
            if count > 1:
                yield (*a, edges[middle], edges[end], 0)
            first = end


def truncated(pairs: Array, most: int, draws: Draws) -> Array:
    """*pairs* cut to *most* tokens each: the longer segment loses one at a random end, repeatedly.

    How long each segment becomes does not depend on chance; how much of what it loses is lost at
    its front does, and is the number of heads among as many tosses of a coin.
    """
    import numpy as np

    cut = pairs.copy()
    a, b = cut[:, 1] - cut[:, 0], cut[:, 3] - cut[:, 2]
    over = np.flatnonzero(a + b > most)
    if not len(over):
        return cut
    a, b = a[over], b[over]
    # Down to the same length the longer one loses all; from there A and B lose by turns, and A,
    # which is not the longer one when they are equal, keeps the odd token.
    kept_a = np.where(b <= most // 2, most - b, np.minimum(a, most - most // 2))
    kept_b = most - kept_a
    for lost, begin, end in ((a - kept_a, 0, 1), (b - kept_b, 2, 3)):
        front = _heads(lost, draws)
        cut[over, begin] += front
        cut[over, end] -= lost - front
    return cut


def _heads(tosses: Array, draws: Draws) -> Array:
    """For each number of tosses of a coin a number of heads."""
    import numpy as np

    heads = draws.uniform(len(tosses), int(tosses.max(initial=0))) < 0.5
    return np.where(np.arange(heads.shape[1]) < tosses[:, None], heads, False).sum(axis=1)

"""Which sequences go into one pack, decided window by window from their lengths alone.

In each window the linear program says how often to use which strategy. What its rounding leaves
over, and packs with padding as long as they are few, wait; windows do not depend on one another, so
that any number of processes plan them. At the end what waited is planned in the same way, window
after window, and the last one places all.
"""

from __future__ import annotations

from typing import Iterable, Iterator, List, NamedTuple, Sequence, Tuple

import numpy as np

from bertkit.data.packing.sequences import Limits
from bertkit.data.packing.strategies import MOST_SEQUENCES, solve, strategies
from bertkit.data.records.varints import Array
from bertkit.data.stages.workers import in_processes

#: sequences in one window
WINDOW = 50_000

#: of a window's sequences at most one in so many waits for a pack without padding
_WAITING = 20

#: rounds of the linear program over what is left at the end, and what is too little for one
_LAST_ROUNDS, _FEW = 12, 16

#: what the solver may be off from a whole number
_TOLERANCE = 1e-6


class Pool(NamedTuple):
    """Sequences that wait for a pack: their numbers, tokens and predictions, int64 each."""

    numbers: Array
    lengths: Array
    predictions: Array

    def take(self, which: Array) -> Pool:
        """Some of them, by index or as a mask."""
        return Pool(self.numbers[which], self.lengths[which], self.predictions[which])

    def joined(self, other: Pool) -> Pool:
        """These and others."""
        return _all_of([self, other])


def _all_of(pools: Sequence[Pool]) -> Pool:
    return Pool(*(np.concatenate(parts) for parts in zip(*pools)))


_NOBODY = Pool(*(np.zeros(0, dtype=np.int64) for _ in Pool._fields))


class Planned(NamedTuple):
    """Some packs.

    Attributes:
        numbers: int64 [packs, 3]: of the sequences in a pack, -1 for none.
        lengths: int64 [packs, 3]: their tokens, 0 for none.
        late: whether these are made of what waited.
    """

    numbers: Array
    lengths: Array
    late: bool


def plan_packs(windows: Iterable[Pool], limits: Limits, workers: int = 1) -> Iterator[Planned]:
    """Packs of all sequences, window by window; the late ones, of what waited, at the end.

    Args:
        windows: the sequences, in windows; each in random order.
        limits: of one sequence; a pack has room for three predictions more.
        workers: processes; each plans a window.
    """
    waiting = [_NOBODY]
    size = 0  # of the largest window
    for packs, left in in_processes(_PlanWindow(limits), windows, workers):
        size = max(size, int((packs.numbers >= 0).sum()) + len(left.numbers))
        waiting.append(left)
        if len(packs.numbers):
            yield packs
    pool, left = _all_of(waiting), _NOBODY
    while len(pool.numbers) > size:
        here = left.joined(pool.take(slice(size)))
        pool = pool.take(slice(size, None))
        packs, left = _window(here, limits, size // _WAITING)
        yield packs._replace(late=True)
    pool = left.joined(pool)
    if len(pool.numbers):
        packs = _all_placed(pool, limits.tokens)
        yield _planned(_split_overfull(packs, pool, limits), pool)._replace(late=True)


class _PlanWindow:
    """The work on one window, as one that can be sent to another process."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    def __call__(self, pool: Pool) -> Tuple[Planned, Pool]:
        return _window(pool, self._limits, len(pool.numbers) // _WAITING)


def _window(pool: Pool, limits: Limits, may_wait: int) -> Tuple[Planned, Pool]:
    packs, placed = _filled(pool, limits.tokens, may_wait)
    return _planned(_split_overfull(packs, pool, limits), pool), pool.take(~placed)


def _planned(packs: Array, pool: Pool) -> Planned:
    there = packs >= 0
    numbers = np.where(there, pool.numbers[packs], -1)
    return Planned(numbers, np.where(there, pool.lengths[packs], 0), late=False)


def _filled(pool: Pool, tokens: int, may_wait: int) -> Tuple[Array, Array]:
    """The best packs, so many that no more than *may_wait* sequences stay; and who is placed."""
    uses = solve(np.bincount(pool.lengths, minlength=tokens + 1), tokens).uses
    packs = _dealt(pool.lengths, np.floor(uses + _TOLERANCE).astype(np.int64), tokens)
    padding = tokens - _tokens_in(packs, pool.lengths)
    best_first = np.argsort(padding, kind="stable")
    staying = len(pool.numbers) - np.cumsum((packs >= 0).sum(axis=1)[best_first])
    wanted = int(np.searchsorted(-staying, -may_wait)) + 1
    kept = packs[best_first[: max(wanted, int((padding == 0).sum()))]]
    return kept, _placed(kept, len(pool.numbers))


def _all_placed(pool: Pool, tokens: int) -> Array:
    """Packs of all sequences: by the program as long as that helps, the last few by best fit."""
    done: List[Array] = []
    left = np.arange(len(pool.numbers))
    for _ in range(_LAST_ROUNDS):
        if len(left) <= _FEW:
            break
        lengths = pool.lengths[left]
        uses = solve(np.bincount(lengths, minlength=tokens + 1), tokens).uses
        whole = np.floor(uses + _TOLERANCE).astype(np.int64)
        if whole.any():
            packs = _dealt(lengths, whole, tokens)
        else:  # nothing is used once; what is used half is taken if it is full
            packs = _dealt(lengths, np.floor(uses + 0.5).astype(np.int64), tokens)
            packs = packs[_tokens_in(packs, lengths) == tokens]
        if not len(packs):
            break
        done.append(np.where(packs >= 0, left[packs], -1))
        left = left[~_placed(packs, len(left))]
    return np.concatenate([*done, _best_fit(left, pool.lengths, tokens)])


def _dealt(lengths: Array, uses: Array, tokens: int) -> Array:
    """Sequences dealt to the slots of strategies; a slot without one of its length takes a shorter.

    Gives indices into *lengths* [packs, 3], -1 for none; packs without any are left out.
    """
    slots = np.repeat(strategies(tokens).slots, uses, axis=0)
    by_length = np.argsort(-lengths, kind="stable")
    by_size = np.argsort(-slots.ravel(), kind="stable")
    to_length = _edges_of_runs(lengths[by_length], tokens)
    to_size = _edges_of_runs(slots.ravel()[by_size], tokens)
    packs = np.full(slots.size, -1, dtype=np.int64)
    free = by_size[:0]  # longer slots for which there was no sequence
    for length in range(tokens, 0, -1):
        waiting = by_length[to_length[length + 1] : to_length[length]]
        fitting = by_size[to_size[length + 1] : to_size[length]]
        count = min(len(waiting), len(fitting))
        packs[fitting[:count]] = waiting[:count]
        waiting, fitting = waiting[count:], fitting[count:]
        count = min(len(waiting), len(free))
        packs[free[:count]] = waiting[:count]
        free = np.concatenate([free[count:], fitting])
    packs = packs.reshape(-1, MOST_SEQUENCES)
    return packs[(packs >= 0).any(axis=1)]


def _edges_of_runs(descending: Array, tokens: int) -> Array:
    """edges[n] numbers have at least the value n, for n from 0 to tokens + 1."""
    return np.searchsorted(-descending, -np.arange(tokens + 2), side="right")


def _best_fit(which: Array, lengths: Array, tokens: int) -> Array:
    """Longest first, each into the fullest pack that has room for it; for few sequences."""
    packs: List[List[int]] = []
    by_room: List[List[int]] = [[] for _ in range(tokens + 1)]  # packs with so much room
    for index in which[np.argsort(-lengths[which], kind="stable")].tolist():
        length = int(lengths[index])
        room = next((r for r in range(length, tokens + 1) if by_room[r]), None)
        number = len(packs) if room is None else by_room[room].pop()
        if room is None:
            packs.append([])
        packs[number].append(index)
        if len(packs[number]) < MOST_SEQUENCES:
            by_room[(tokens if room is None else room) - length].append(number)
    rows = [[*pack, *[-1] * (MOST_SEQUENCES - len(pack))] for pack in packs]
    return np.array(rows, dtype=np.int64).reshape(-1, MOST_SEQUENCES)


def _split_overfull(packs: Array, pool: Pool, limits: Limits) -> Array:
    """Packs with more predictions than fit, which upstream's own records never make, are split."""
    room = limits.predictions + MOST_SEQUENCES
    while True:
        packs = -np.sort(-packs, axis=1, kind="stable")  # -1 last
        predictions = np.where(packs >= 0, pool.predictions[packs], 0).sum(axis=1)
        overfull = predictions > room
        if not overfull.any():
            return packs
        nobody = np.full((int(overfull.sum()), 1), -1, dtype=np.int64)
        alone = np.hstack([packs[overfull][:, :1], nobody, nobody])
        others = np.hstack([packs[overfull][:, 1:], nobody])
        packs = np.concatenate([packs[~overfull], alone, others])


def _tokens_in(packs: Array, lengths: Array) -> Array:
    return np.where(packs >= 0, lengths[packs], 0).sum(axis=1)


def _placed(packs: Array, count: int) -> Array:
    placed = np.zeros(count, dtype=bool)
    placed[packs[packs >= 0]] = True
    return placed

"""Any sequences are packed exactly once, within the limits, into nearly as few packs as can be."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bertkit.data.packing.planning import Pool, plan_packs
from bertkit.data.packing.sequences import Limits
from bertkit.data.packing.strategies import solve, strategies


def pool_of(lengths, predictions, first=0):
    numbers = np.arange(first, first + len(lengths))
    return Pool(numbers, np.array(lengths, np.int64), np.array(predictions, np.int64))


def plan(windows, limits):
    pools, first = [], 0
    for lengths, predictions in windows:
        pools.append(pool_of(lengths, predictions, first))
        first += len(lengths)
    return np.concatenate(
        [np.zeros((0, 3), np.int64), *(packs.numbers for packs in plan_packs(pools, limits))]
    )


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_sequences_are_packed_exactly_once_within_the_limits(data):
    limits = Limits(data.draw(st.integers(1, 24)), data.draw(st.integers(1, 6)))
    sequence = st.tuples(st.integers(1, limits.tokens), st.integers(0, limits.predictions))
    windows = data.draw(st.lists(st.lists(sequence, min_size=1, max_size=40), max_size=4))
    packs = plan([list(zip(*window)) for window in windows], limits)
    lengths = np.array([n for window in windows for n, _ in window], np.int64)
    predictions = np.array([m for window in windows for _, m in window], np.int64)
    members = packs[packs >= 0]
    assert sorted(members.tolist()) == list(range(len(lengths)))
    for pack in packs.tolist():
        there = [number for number in pack if number >= 0]
        assert there
        assert pack[: len(there)] == there
        assert lengths[there].sum() <= limits.tokens
        assert predictions[there].sum() <= limits.predictions + 3


@pytest.mark.parametrize(("tokens", "count"), [(128, 1430), (512, 22102)])
def test_there_are_as_many_strategies_as_partitions(tokens, count):
    slots = strategies(tokens).slots
    assert len(slots) == count
    assert (slots.sum(axis=1) == tokens).all()


def test_the_bound_is_what_can_be_reckoned_by_hand():
    # Three of 1, or two of 4, or a 5 with a 3 that may hold a 2: all else needs more.
    assert solve(np.bincount([5] * 6 + [2] * 6, minlength=9), 8).bound == pytest.approx(6)
    assert solve(np.bincount([8] * 5, minlength=9), 8).bound == pytest.approx(5)
    assert solve(np.bincount([1] * 9, minlength=9), 8).bound == pytest.approx(3)
    assert solve(np.bincount([4] * 9, minlength=9), 8).bound == pytest.approx(4.5)


@pytest.mark.parametrize("windows", [1, 7])
def test_packs_are_nearly_as_few_as_can_be(windows):
    random = np.random.RandomState(3)
    lengths = np.minimum(64, 5 + random.exponential(16, 14_000).astype(np.int64))
    parts = np.split(lengths, windows)
    packs = plan([(part, part // 7) for part in parts], Limits(64, 10))
    bound = solve(np.bincount(lengths, minlength=65), 64).bound
    assert bound <= len(packs) <= bound * 1.003


def test_packs_with_more_predictions_than_places_are_split():
    packs = plan([([2, 2, 2], [5, 5, 5])], Limits(6, 5))
    assert sorted((packs >= 0).sum(axis=1).tolist()) == [1, 1, 1]

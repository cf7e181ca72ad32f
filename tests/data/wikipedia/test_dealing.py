"""Articles go to files by a seeded hash, and the files become equal."""

import math
from collections import Counter

import pytest

from bertkit.data.chance import seeded
from bertkit.data.wikipedia.dealing import Dealer, digest_of

SHARDS = 8


def lengths(count, seed="articles"):
    """Lengths as an encyclopedia has them: most short, a few very long."""
    rng = seeded(seed)
    return [50 + int(math.exp(7.3 + 1.2 * rng.gauss(0, 1))) for _ in range(count)]


def dealt(sizes, seed=1, shards=SHARDS, fraction=0.1, claimed=1.0):
    """Where each of the articles goes, in order."""
    dealer = Dealer(shards, fraction, int(sum(sizes) * claimed))
    return [
        dealer.place(size, digest_of(f"article {number}", seed))
        for number, size in enumerate(sizes)
    ]


def fills(sizes, places):
    filled = Counter()
    for size, place in zip(sizes, places):
        filled[place] += size
    return filled


@pytest.mark.parametrize("claimed", [0.995, 1.0, 1.005])
def test_files_of_a_split_are_within_one_percent_of_each_other(claimed):
    sizes = lengths(20_000)
    filled = fills(sizes, dealt(sizes, claimed=claimed))
    for split in ("training", "test"):
        of_split = [filled[(split, number)] for number in range(SHARDS)]
        assert max(of_split) <= 1.01 * min(of_split)


def test_the_test_files_have_their_part_of_the_text_and_of_the_long_articles():
    sizes = lengths(20_000)
    places = dealt(sizes)
    filled = fills(sizes, places)
    test = sum(size for (split, _), size in filled.items() if split == "test")
    assert abs(test / sum(sizes) - 0.1) < 0.001
    splits_of_long = Counter(split for size, (split, _) in zip(sizes, places) if size > 10_000)
    part = splits_of_long["test"] / sum(splits_of_long.values())
    assert abs(part - 0.1) < 4 * math.sqrt(0.1 * 0.9 / sum(splits_of_long.values()))


def test_another_seed_deals_otherwise_and_the_same_seed_the_same():
    sizes = lengths(5000)
    first, second = dealt(sizes, seed=1), dealt(sizes, seed=2)
    same = sum(a == b for a, b in zip(first, second)) / len(sizes)
    by_chance = SHARDS * (0.9 / SHARDS) ** 2 + SHARDS * (0.1 / SHARDS) ** 2
    assert abs(same - by_chance) < 4 * math.sqrt(by_chance / len(sizes))
    assert first == dealt(sizes, seed=1)


def test_neighbours_in_the_dump_are_in_one_file_as_often_as_chance_wants_it():
    places = dealt([1000] * 20_000)
    numbers = [number for split, number in places if split == "training"]
    pairs = Counter(zip(numbers, numbers[1:]))
    expected = (len(numbers) - 1) / SHARDS**2
    chi_square = sum(
        (pairs[(a, b)] - expected) ** 2 / expected for a in range(SHARDS) for b in range(SHARDS)
    )
    # Of 63 degrees of freedom: mean 63, standard deviation 11.2; four of them to either side.
    assert 18 < chi_square < 108


def test_the_hash_decides_and_not_the_place_in_the_dump():
    """In the middle of the deal all files are as likely: first half and second look the same."""
    places = dealt([1000] * 20_000)
    for half in (places[:10_000], places[10_000:]):
        test = sum(split == "test" for split, _ in half)
        assert abs(test - 1000) < 4 * math.sqrt(900)


def test_the_same_text_again_stays_on_its_side_of_the_border():
    """So that no test file has what a training file has too, but near the border."""
    dealer = Dealer(SHARDS, 0.1, 2 * 5000 * 1000)
    splits = {}
    crossed = 0
    for _ in range(2):
        for number in range(5000):
            split, _ = dealer.place(1000, digest_of(f"article {number}", 1))
            crossed += splits.setdefault(number, split) != split
    assert crossed < 5000 * 0.02


@pytest.mark.parametrize("shards", [8, 16])
def test_a_hundred_articles_leave_no_file_empty(shards):
    for seed in range(30):
        sizes = [10 * size for size in lengths(103, seed)]
        assert len(set(dealt(sizes, seed=seed, shards=shards))) == 2 * shards


@pytest.mark.parametrize("claimed", [0, 0.5])
def test_more_text_than_was_said_is_still_dealt_evenly(claimed):
    sizes = lengths(5000)
    filled = fills(sizes, dealt(sizes, claimed=claimed))
    of_training = [filled[("training", number)] for number in range(SHARDS)]
    assert max(of_training) - min(of_training) <= max(sizes)

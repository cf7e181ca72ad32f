"""Instances follow upstream's rules, in their numbers too."""

import hashlib
import math

import pytest

from bertkit.data.instances import (
    below,
    features,
    instances_of,
    seeded,
    segment_pairs,
    shuffle,
    truncated,
)


class Pieces:
    """As much of a vocabulary as instances need; plain tokens are 1000 and more."""

    cls, sep, mask = 101, 102, 103

    def __len__(self):
        return 30522


def documents_of(count=12, sentences=60, seed=1):
    """Documents whose tokens tell where they are from: document * 1000 + 1000 + sentence."""
    rng = seeded("documents", seed)
    return [
        [[1000 + 1000 * d + s] * (5 + below(rng, 30)) for s in range(sentences)]
        for d in range(count)
    ]


def made(documents, seq_len=128, max_predictions=20, duplicates=5, seed=(1,)):
    return instances_of(
        documents,
        Pieces(),
        seq_len=seq_len,
        max_predictions=max_predictions,
        duplicates=duplicates,
        seed=seed,
    )


def original(instance):
    ids = list(instance.input_ids)
    for position, label in zip(instance.masked_positions, instance.masked_ids):
        ids[position] = label
    return ids


def within(found, wanted, trials, deviations=5.0):
    return abs(found - wanted) <= deviations * math.sqrt(wanted * (1 - wanted) / trials)


def test_fifteen_percent_of_the_tokens_are_predicted():
    for instance in made(documents_of(), seq_len=128, max_predictions=20):
        length = len(instance.input_ids)
        assert len(instance.masked_positions) == min(20, max(1, round(length * 0.15)))


def test_of_the_predicted_80_percent_are_masked_10_random_and_10_left():
    instances = made(documents_of(), duplicates=10)
    total = masked = same = 0
    for instance in instances:
        for position, label in zip(instance.masked_positions, instance.masked_ids):
            total += 1
            masked += instance.input_ids[position] == Pieces.mask
            same += instance.input_ids[position] == label
    assert total > 10_000
    assert within(masked / total, 0.8, total)
    assert within(same / total, 0.1, total)


def test_every_position_of_both_segments_is_predicted_equally_often_and_no_special_one():
    hits = {}
    instances = [i for i in made(documents_of(), duplicates=20) if len(i.input_ids) == 128]
    for instance in instances:
        specials = {0, instance.length_a - 1, 127}
        assert not specials & set(instance.masked_positions)
        for position in instance.masked_positions:
            hits[position] = hits.get(position, 0) + 1
    # Of 125 places 19 are chosen; the separator's place varies, so leave some room.
    for position in range(1, 127):
        assert within(hits[position] / len(instances), 19 / 125, len(instances), 7)


def test_half_of_the_second_segments_are_from_another_document():
    documents = documents_of(sentences=200)
    rng = seeded("pairs")
    pairs = [p for i in range(len(documents)) for p in segment_pairs(documents, i, 125, rng)]
    random_next = sum(is_random for _, _, is_random in pairs) / len(pairs)
    # Above a half by the few chunks of one sentence, which have no continuation.
    assert 0.5 - 5 * math.sqrt(0.25 / len(pairs)) < random_next < 0.6


def test_a_random_next_is_never_from_the_document_itself_and_a_true_one_always():
    for instance in made(documents_of(count=3)):
        ids = original(instance)
        first, second = ids[1] // 1000, ids[instance.length_a] // 1000
        assert (first != second) == instance.is_random_next


def test_a_true_next_follows_where_the_first_segment_ends():
    for instance in made(documents_of()):
        if not instance.is_random_next:
            ids = original(instance)
            last_of_a, first_of_b = ids[instance.length_a - 2], ids[instance.length_a]
            assert 0 <= first_of_b - last_of_a <= 1 or len(ids) == 128  # cut from the ends


def test_a_corpus_of_one_document_has_no_random_next():
    instances = made(documents_of(count=1))
    assert instances
    assert not any(instance.is_random_next for instance in instances)


def test_one_sentence_alone_gives_nothing_rather_than_a_pair_with_itself():
    assert made([[[1000, 1001]]]) == []


def test_a_tenth_of_the_documents_aims_at_shorter_sequences():
    documents = documents_of(count=400, sentences=30)
    short = 0
    for index in range(len(documents)):
        rng = seeded("short", index)
        pairs = list(segment_pairs(documents, index, 125, rng))
        # All but the last chunk of a document are filled, unless its target is short.
        short += sum(len(a) + len(b) < 125 for a, b, _ in pairs[:-1]) > len(pairs) / 2
    assert within(short / len(documents), 0.1, len(documents))


@pytest.mark.parametrize(("seq_len", "max_predictions"), [(128, 20), (512, 80), (16, 3)])
def test_no_instance_is_longer_than_it_may_be(seq_len, max_predictions):
    instances = made(documents_of(), seq_len, max_predictions)
    assert instances
    for instance in instances:
        assert 5 <= len(instance.input_ids) <= seq_len
        assert len(instance.masked_positions) <= max_predictions
        assert instance.input_ids[0] == Pieces.cls
        assert instance.input_ids[instance.length_a - 1] == Pieces.sep
        assert instance.input_ids[-1] == Pieces.sep


def test_the_longer_segment_is_cut_and_at_both_ends():
    a, b = list(range(100)), list(range(1000, 1020))
    starts = set()
    for seed in range(20):
        cut_a, cut_b = truncated(a, b, 60, seeded(seed))
        assert len(cut_a) == 40
        assert cut_b == b
        assert cut_a == a[cut_a[0] : cut_a[0] + 40]
        starts.add(cut_a[0])
    assert len(starts) > 5
    assert truncated(a, b, 200, seeded(1)) == (a, b)


def test_each_duplicate_is_masked_anew():
    once, twice = made(documents_of(), duplicates=1), made(documents_of(), duplicates=2)
    assert len(twice) > 1.8 * len(once)
    assert len({tuple(i.input_ids) for i in twice}) > 0.99 * len(twice)


def test_features_are_padded_to_upstreams_lengths():
    instance = made(documents_of())[0]._replace(
        input_ids=[101, 7, 103, 102, 9, 102], length_a=4, masked_positions=[2], masked_ids=[8]
    )
    assert features(instance, 8, 3) == {
        "input_ids": [101, 7, 103, 102, 9, 102, 0, 0],
        "input_mask": [1, 1, 1, 1, 1, 1, 0, 0],
        "segment_ids": [0, 0, 0, 0, 1, 1, 0, 0],
        "masked_lm_positions": [2, 0, 0],
        "masked_lm_ids": [8, 0, 0],
        "masked_lm_weights": [1.0, 0.0, 0.0],
        "next_sentence_labels": [int(instance.is_random_next)],
    }


def test_the_seed_decides_all_and_alone():
    documents = documents_of()
    assert made(documents, seed=(1,)) == made(documents, seed=(1,))
    assert made(documents, seed=(1,)) != made(documents, seed=(2,))


def test_the_same_numbers_come_on_every_python():
    text = repr(made(documents_of(), seed=(12345, "shard"))).encode()
    assert hashlib.sha256(text).hexdigest()[:16] == "710ae1d3e5d3a324"


def test_a_shuffle_gives_every_order_equally_often():
    rng, counts = seeded("shuffle"), {}
    for _ in range(6000):
        items = [1, 2, 3]
        shuffle(items, rng)
        counts[tuple(items)] = counts.get(tuple(items), 0) + 1
    assert len(counts) == 6
    assert all(within(count / 6000, 1 / 6, 6000) for count in counts.values())

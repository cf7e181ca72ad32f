"""Instances follow upstream's rules, in their numbers too."""

import hashlib
import math
from typing import List, NamedTuple

import numpy as np
import pytest

from bertkit.data.chance import Draws, below, seeded, shuffle
from bertkit.data.instances.encoding import encoded
from bertkit.data.instances.instances import Shape, instances
from bertkit.data.instances.pairs import pairs_of_document, truncated
from bertkit.data.instances.tokenized import Tokenized
from bertkit.data.records.tfrecord import decode_example


class Instance(NamedTuple):
    """One row of a batch, without its padding."""

    input_ids: List[int]
    length_a: int
    masked_positions: List[int]
    masked_ids: List[int]
    is_random_next: bool


class Pieces:
    """As much of a vocabulary as instances need; plain tokens are 1000 and more."""

    cls, sep, mask = 101, 102, 103
    #: of tokens that end in 7 or 8 each continues the word before it
    continues = np.arange(100_000) % 10 >= 7

    def __len__(self):
        return 30522


def documents_of(count=12, sentences=60, seed=1):
    """Documents whose tokens tell where they are from: document * 1000 + 1000 + sentence."""
    rng = seeded("documents", seed)
    return [
        [[1000 + 1000 * d + s] * (5 + below(rng, 30)) for s in range(sentences)]
        for d in range(count)
    ]


def tokenized(documents):
    edges, position = [], 0
    for document in documents:
        ends = np.cumsum([len(sentence) for sentence in document])
        edges.append([position, *(position + ends).tolist()])
        position = edges[-1][-1]
    ids = [token for document in documents for sentence in document for token in sentence]
    return Tokenized(np.array(ids, dtype=np.int32), edges)


def batches(documents, seq_len=128, max_predictions=20, duplicates=5, seed=(1,), **more):
    shape = Shape(seq_len, max_predictions, duplicates, **more)
    return list(instances(tokenized(documents), Pieces(), shape, seed))


def made(documents, *arguments, **more):
    return [
        Instance(
            batch.ids[row, : batch.lengths[row]].tolist(),
            int(batch.first_lengths[row]),
            batch.positions[row, : batch.counts[row]].tolist(),
            batch.labels[row, : batch.counts[row]].tolist(),
            bool(batch.random_next[row]),
        )
        for batch in batches(documents, *arguments, **more)
        for row in range(len(batch.ids))
    ]


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


def pairs_of(documents, rng_name, most=125):
    edges = tokenized(documents).documents
    rng = seeded(rng_name)
    return [pair for i in range(len(edges)) for pair in pairs_of_document(edges, i, most, rng)]


def test_half_of_the_second_segments_are_from_another_document():
    pairs = pairs_of(documents_of(sentences=200), "pairs")
    random_next = sum(pair[4] for pair in pairs) / len(pairs)
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
    edges = tokenized(documents).documents
    for index in range(len(documents)):
        pairs = list(pairs_of_document(edges, index, 125, seeded("short", index)))
        # All but the last chunk of a document are filled, unless its target is short.
        filled = [b - a + d - c >= 125 for a, b, c, d, _ in pairs[:-1]]
        short += filled.count(False) > len(pairs) / 2
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


def by_turns(a, b, most):
    """How long upstream's loop leaves both segments."""
    while a + b > most:
        if a > b:
            a -= 1
        else:
            b -= 1
    return a, b


def test_the_longer_segment_is_cut_as_often_as_upstream_cuts_it():
    for most in (4, 5, 125):
        pairs = [(0, a, 1000, 1000 + b, 0) for a in range(1, 140, 3) for b in range(1, 140, 2)]
        for before, cut in zip(pairs, truncated(np.array(pairs), most, Draws(most)).tolist()):
            wanted = by_turns(before[1], before[3] - 1000, most)
            assert (cut[1] - cut[0], cut[3] - cut[2]) == wanted


def test_the_longer_segment_is_cut_at_both_ends():
    cut = truncated(np.array([[0, 100, 1000, 1020, 0]] * 2000), 60, Draws("both"))
    assert set((cut[:, 3] - cut[:, 2]).tolist()) == {20}
    fronts = cut[:, 0]
    assert fronts.min() >= 0
    assert fronts.max() <= 60
    # Of 60 that go half go at the front, as 60 tosses of a coin have it.
    assert abs(fronts.mean() - 30) < 5 * math.sqrt(15 / 2000)
    assert 10 < fronts.var() < 20


def test_each_duplicate_is_masked_anew():
    once, twice = made(documents_of(), duplicates=1), made(documents_of(), duplicates=2)
    assert len(twice) > 1.8 * len(once)
    assert len({tuple(i.input_ids) for i in twice}) > 0.99 * len(twice)


def test_records_are_padded_to_upstreams_lengths():
    (batch,) = batches(documents_of(count=2, sentences=4), 64, 12, 1)
    for row, content in enumerate(encoded(batch)):
        length, first, count = batch.lengths[row], batch.first_lengths[row], batch.counts[row]
        assert decode_example(content) == {
            "input_ids": batch.ids[row].tolist(),
            "input_mask": [1] * length + [0] * (64 - length),
            "segment_ids": [0] * first + [1] * (length - first) + [0] * (64 - length),
            "masked_lm_positions": batch.positions[row].tolist(),
            "masked_lm_ids": batch.labels[row].tolist(),
            "masked_lm_weights": [1.0] * count + [0.0] * (12 - count),
            "next_sentence_labels": [int(batch.random_next[row])],
        }
        assert not batch.ids[row, length:].any()
        assert not batch.positions[row, count:].any()


def test_ids_of_one_two_and_three_bytes_are_written_as_they_are():
    ids = [5, 127, 128, 16383, 16384, 30521] * 6
    batch = batches([[ids, ids], [ids, ids]], 512, 80, 1)[0]
    for row, content in enumerate(encoded(batch)):
        assert decode_example(content)["input_ids"] == batch.ids[row].tolist()


def test_of_a_whole_word_all_pieces_are_predicted_or_none():
    rng = seeded("words")
    documents = [
        [[below(rng, 9000) + 1000 for _ in range(20)] for _ in range(30)] for _ in range(6)
    ]
    found = made(documents, whole_words=True)
    predicted = total = 0
    for instance in found:
        ids, chosen = original(instance), set(instance.masked_positions)
        assert len(chosen) <= min(20, max(1, round(len(ids) * 0.15)))
        predicted, total = predicted + len(chosen), total + len(ids)
        for place in range(2, len(ids) - 1):
            if Pieces.continues[ids[place]] and place != instance.length_a:
                assert (place in chosen) == (place - 1 in chosen)
    assert 0.13 < predicted / total <= 0.155


def test_the_seed_decides_all_and_alone():
    documents = documents_of()
    assert made(documents, seed=(1,)) == made(documents, seed=(1,))
    assert made(documents, seed=(1,)) != made(documents, seed=(2,))


def test_the_same_numbers_come_on_every_python():
    text = repr(made(documents_of(), seed=(12345, "shard"))).encode()
    assert hashlib.sha256(text).hexdigest()[:16] == "9578cbbc7f041426"


def test_a_shuffle_gives_every_order_equally_often():
    rng, counts = seeded("shuffle"), {}
    for _ in range(6000):
        items = [1, 2, 3]
        shuffle(items, rng)
        counts[tuple(items)] = counts.get(tuple(items), 0) + 1
    assert len(counts) == 6
    assert all(within(count / 6000, 1 / 6, 6000) for count in counts.values())

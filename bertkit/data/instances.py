"""Training instances: pairs of segments, some of them unrelated, with masked tokens.

The rules are those of upstream's ``create_pretraining_data.py`` (which are Google's), on token
ids instead of strings. One thing differs: where a corpus has a single document upstream labels a
random stretch of the document itself as its true continuation; here there is no random next then.

Randomness comes from ``random.Random.random`` alone, which gives the same numbers on every Python.
"""

from __future__ import annotations

import hashlib
import random
from typing import Any, Dict, Iterator, List, NamedTuple, Sequence, Tuple

from bertkit.data.tfrecord import Values
from bertkit.data.tokens import WordPieces

#: sentences of one document, each a list of token ids
Document = List[List[int]]

SHORT_SEQ_PROB = 0.1
MASKED_LM_PROB = 0.15


class Instance(NamedTuple):
    """One sequence: ``[CLS] A [SEP] B [SEP]``, before padding."""

    input_ids: List[int]
    length_a: int  # tokens of segment 0: [CLS], A and the first [SEP]
    masked_positions: List[int]
    masked_ids: List[int]  # what stood at these positions
    is_random_next: bool


def seeded(*names: object) -> random.Random:
    """A generator that depends on *names* alone: seed, shard, duplicate and so on."""
    text = "\0".join(str(name) for name in names)
    return random.Random(int.from_bytes(hashlib.sha256(text.encode("utf-8")).digest()[:8], "big"))


def below(rng: random.Random, limit: int) -> int:
    """A number from 0 to *limit* - 1."""
    return int(rng.random() * limit)


def shuffle(items: List[Any], rng: random.Random) -> None:
    """Put *items* in random order, in place, the same on every Python."""
    for i in range(len(items) - 1, 0, -1):
        j = below(rng, i + 1)
        items[i], items[j] = items[j], items[i]


def segment_pairs(
    documents: Sequence[Document], index: int, max_tokens: int, rng: random.Random
) -> Iterator[Tuple[List[int], List[int], bool]]:
    """The pairs (A, B, B is from another document) of one document, of *max_tokens* at most."""
    document = documents[index]
    target = max_tokens
    if rng.random() < SHORT_SEQ_PROB:
        target = 2 + below(rng, max_tokens - 1)
    chunk: Document = []
    length = 0
    i = 0
    while i < len(document):
        chunk.append(document[i])
        length += len(document[i])
        if i == len(document) - 1 or length >= target:
            end_a = 1 + below(rng, len(chunk) - 1) if len(chunk) >= 2 else 1
            a = [token for sentence in chunk[:end_a] for token in sentence]
            random_next = len(chunk) == 1 or rng.random() < 0.5
            if random_next and len(documents) > 1:
                b = _stretch_of_another(documents, index, target - len(a), rng)
                # The sentences that B did not use are not lost: the next chunk begins with them.
                i -= len(chunk) - end_a
                yield (*truncated(a, b, max_tokens, rng), True)
            elif len(chunk) > 1:
                b = [token for sentence in chunk[end_a:] for token in sentence]
                yield (*truncated(a, b, max_tokens, rng), False)
            chunk = []
            length = 0
        i += 1


def _stretch_of_another(
    documents: Sequence[Document], index: int, wanted: int, rng: random.Random
) -> List[int]:
    other = below(rng, len(documents) - 1)
    document = documents[other + (other >= index)]
    b: List[int] = []
    for sentence in document[below(rng, len(document)) :]:
        b.extend(sentence)
        if len(b) >= wanted:
            break
    return b


def truncated(
    a: List[int], b: List[int], max_tokens: int, rng: random.Random
) -> Tuple[List[int], List[int]]:
    """Both cut to *max_tokens* together: the longer loses a token at a random end, repeatedly."""
    start_a, end_a, start_b, end_b = 0, len(a), 0, len(b)
    for _ in range(len(a) + len(b) - max_tokens):
        front = rng.random() < 0.5
        if end_a - start_a > end_b - start_b:
            if front:
                start_a += 1
            else:
                end_a -= 1
        elif front:
            start_b += 1
        else:
            end_b -= 1
    return a[start_a:end_a], b[start_b:end_b]


def masked(
    a: List[int],
    b: List[int],
    is_random_next: bool,
    pieces: WordPieces,
    max_predictions: int,
    rng: random.Random,
) -> Instance:
    """Mask 15 % of the tokens: 80 % of them by [MASK], 10 % by any token, 10 % left as they are."""
    ids = [pieces.cls, *a, pieces.sep, *b, pieces.sep]
    length_a = len(a) + 2
    candidates = len(a) + len(b)
    wanted = min(max_predictions, max(1, int(round(len(ids) * MASKED_LM_PROB))), candidates)
    # The first steps of a shuffle of all candidates: `moved` holds what has changed its place.
    moved: Dict[int, int] = {}
    chosen = []
    for step in range(wanted):
        pick = step + below(rng, candidates - step)
        candidate = moved.get(pick, pick)
        moved[pick] = moved.get(step, step)
        # candidates 0.. are A's tokens from position 1 on, then B's, after the [SEP] between them
        chosen.append(candidate + 1 if candidate < len(a) else candidate + 2)
    chosen.sort()
    labels = [ids[position] for position in chosen]
    for position in chosen:
        draw = rng.random()
        if draw < 0.8:
            ids[position] = pieces.mask
        elif draw < 0.9:
            ids[position] = below(rng, len(pieces))
    return Instance(ids, length_a, chosen, labels, is_random_next)


def instances_of(
    documents: Sequence[Document],
    pieces: WordPieces,
    *,
    seq_len: int,
    max_predictions: int,
    duplicates: int,
    seed: Tuple[object, ...],
) -> List[Instance]:
    """All instances of one shard, in random order.

    Args:
        documents: none of them, and none of their sentences, empty.
        seq_len: most tokens of an instance, [CLS] and both [SEP] included.
        max_predictions: most masked tokens of an instance.
        duplicates: how often each document is gone through, each time masked anew.
        seed: what the shard's randomness depends on; each duplicate has its own.
    """
    found: List[Instance] = []
    for duplicate in range(duplicates):
        rng = seeded(*seed, duplicate)
        for index in range(len(documents)):
            for a, b, is_random_next in segment_pairs(documents, index, seq_len - 3, rng):
                found.append(masked(a, b, is_random_next, pieces, max_predictions, rng))
    shuffle(found, seeded(*seed, "order"))
    return found


def features(instance: Instance, seq_len: int, max_predictions: int) -> Dict[str, Values]:
    """The features of upstream's unpacked records, padded with zeros.

    ``input_ids``, ``input_mask``, ``segment_ids`` have *seq_len* values, the ``masked_lm_*``
    *max_predictions*, ``next_sentence_labels`` one (1: B is from another document).
    """
    length = len(instance.input_ids)
    padding = [0] * (seq_len - length)
    predictions = len(instance.masked_positions)
    unused = [0] * (max_predictions - predictions)
    return {
        "input_ids": instance.input_ids + padding,
        "input_mask": [1] * length + padding,
        "segment_ids": [0] * instance.length_a + [1] * (length - instance.length_a) + padding,
        "masked_lm_positions": instance.masked_positions + unused,
        "masked_lm_ids": instance.masked_ids + unused,
        "masked_lm_weights": [1.0] * predictions + [0.0] * len(unused),
        "next_sentence_labels": [int(instance.is_random_next)],
    }

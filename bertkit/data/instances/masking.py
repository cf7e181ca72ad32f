"""Masked tokens: 15 % of a sequence are to be predicted, many sequences at once.

Of those, 80 % are replaced by [MASK], 10 % by any token and 10 % left as they are: the rules of
upstream's ``create_pretraining_data.py`` (which are Google's).
"""

from __future__ import annotations

from typing import Any, List, NamedTuple, Tuple

from bertkit.data.chance import Draws
from bertkit.data.instances.tokens import WordPieces

Array = Any  # numpy.ndarray

MASKED_LM_PROB = 0.15


class Batch(NamedTuple):
    """Sequences ``[CLS] A [SEP] B [SEP]``, a row each, padded with zeros.

    Attributes:
        ids: token ids, (rows, tokens).
        lengths: tokens of each row that are no padding.
        first_lengths: tokens of segment 0: [CLS], A and the first [SEP].
        positions: of predicted tokens in rising order, (rows, predictions).
        labels: what stood there.
        counts: how many are predicted in each row.
        random_next: 1 where B is from another document.
    """

    ids: Array
    lengths: Array
    first_lengths: Array
    positions: Array
    labels: Array
    counts: Array
    random_next: Array


def masked_batch(
    tokens: Array,
    pairs: Array,
    pieces: WordPieces,
    draws: Draws,
    *,
    seq_len: int,
    max_predictions: int,
    whole_words: bool = False,
) -> Batch:
    """The sequences of *pairs*, which fit into *seq_len*, with tokens masked at random.

    Args:
        tokens: of the shard.
        pairs: rows of begin and end of A, begin and end of B, and random next.
        pieces: the vocabulary.
        draws: what chance there is.
        seq_len: tokens of a row.
        max_predictions: most predicted tokens of a row.
        whole_words: all pieces of a word or none are predicted.
    """
    import numpy as np

    rows = np.arange(len(pairs))
    a, b = pairs[:, 1] - pairs[:, 0], pairs[:, 3] - pairs[:, 2]
    lengths = a + b + 3
    place = np.arange(seq_len)
    in_a = (place >= 1) & (place < 1 + a[:, None])
    in_b = (place >= 2 + a[:, None]) & (place < 2 + (a + b)[:, None])
    source = np.where(in_a, pairs[:, 0, None] - 1, (pairs[:, 2] - a - 2)[:, None]) + place
    text = in_a | in_b
    ids = np.where(text, tokens[np.where(text, source, 0)], np.int32(0))
    ids[:, 0] = pieces.cls
    ids[rows, 1 + a] = pieces.sep
    ids[rows, lengths - 1] = pieces.sep

    wanted = np.maximum(1, np.rint(lengths * MASKED_LM_PROB).astype(np.int64))
    wanted = np.minimum(np.minimum(wanted, max_predictions), a + b)
    keys = np.where(text, draws.uniform(len(pairs), seq_len), 2.0)
    if whole_words:
        continues = pieces.continues[ids] & text
        continues[:, 1] = continues[rows, 2 + a] = False  # the rest of a word that was cut off
        chosen, counts = _whole_words(keys, continues, wanted, max_predictions)
    else:
        chosen, counts = _smallest(keys, max_predictions), wanted
    predicted = np.arange(max_predictions) < counts[:, None]
    positions = np.sort(np.where(predicted, chosen, seq_len), axis=1)
    positions[~predicted] = 0
    labels = np.where(predicted, ids[rows[:, None], positions], 0)

    draw = draws.uniform(*positions.shape)
    other = (draws.uniform(*positions.shape) * len(pieces)).astype(ids.dtype)
    shown = np.where(draw < 0.8, pieces.mask, np.where(draw < 0.9, other, labels))
    row, column = np.nonzero(predicted)
    ids[row, positions[row, column]] = shown[row, column]
    return Batch(ids, lengths, 2 + a, positions, labels, counts, pairs[:, 4])


def _smallest(keys: Array, count: int) -> Array:
    """The places of each row's *count* smallest keys, smallest first."""
    import numpy as np

    count = min(count, keys.shape[1])
    few = np.argpartition(keys, count - 1, axis=1)[:, :count]
    order = np.argsort(np.take_along_axis(keys, few, axis=1), axis=1, kind="stable")
    return np.take_along_axis(few, order, axis=1)


def _whole_words(keys: Array, continues: Array, wanted: Array, most: int) -> Tuple[Array, Array]:
    """Words in the order of their first pieces' keys, as long as they fit.

    One that does not fit is passed over, as in Google's own whole-word masking.
    """
    import numpy as np

    chosen = np.zeros((len(keys), most), dtype=np.int64)
    counts = np.zeros(len(keys), dtype=np.int64)
    for row, (own, follows, room) in enumerate(zip(keys, continues.tolist(), wanted.tolist())):
        firsts = np.where(follows, 2.0, own)
        taken: List[int] = []
        for start in firsts.argsort(kind="stable")[: int((firsts < 2.0).sum())].tolist():
            end = start + 1
            while end < len(follows) and follows[end]:
                end += 1
            if len(taken) + end - start <= room:
                taken += range(start, end)
        chosen[row, : len(taken)] = taken
        counts[row] = len(taken)
    return chosen, counts

"""Training instances of one shard of text, as the records that upstream trains on.

The rules are those of upstream's ``create_pretraining_data.py``, on arrays of token ids: the text
is tokenized once, pairs of segments are ranges of it, and sequences are put together, masked and
written in batches. Memory holds the shard's tokens, its pairs and one batch.
"""

from __future__ import annotations

from typing import Any, Iterator, NamedTuple, Tuple

from bertkit.data.chance import Draws
from bertkit.data.instances.encoding import encoded
from bertkit.data.instances.masking import Batch, masked_batch
from bertkit.data.instances.pairs import pairs_of_shard, truncated
from bertkit.data.instances.tokenized import Tokenized
from bertkit.data.instances.tokens import WordPieces

Array = Any  # numpy.ndarray

#: sequences that are put together at once; a part of what the bytes depend on
_ROWS = 512


class Shape(NamedTuple):
    """What instances depend on, besides text, vocabulary and seed.

    Attributes:
        seq_len: tokens of a padded sequence.
        max_predictions: most masked tokens of a sequence.
        duplicates: how often each document is gone through, each time masked anew.
        whole_words: mask all pieces of a word or none.
    """

    seq_len: int
    max_predictions: int
    duplicates: int
    whole_words: bool = False


def instances(
    text: Tokenized, pieces: WordPieces, shape: Shape, seed: Tuple[object, ...]
) -> Iterator[Batch]:
    """All instances of one shard, in random order.

    Args:
        text: the shard.
        pieces: the vocabulary that it was tokenized with.
        shape: what kind of instances.
        seed: what the shard's chance depends on.
    """
    pairs = pairs_of_shard(text.documents, shape.seq_len, shape.duplicates, seed)
    draws = Draws(*seed, "masks")
    for start in range(0, len(pairs), _ROWS):
        yield masked_batch(
            text.ids,
            truncated(pairs[start : start + _ROWS], shape.seq_len - 3, draws),
            pieces,
            draws,
            seq_len=shape.seq_len,
            max_predictions=shape.max_predictions,
            whole_words=shape.whole_words,
        )


def records(
    text: Tokenized, pieces: WordPieces, shape: Shape, seed: Tuple[object, ...]
) -> Iterator[bytes]:
    """The same as serialized messages."""
    for batch in instances(text, pieces, shape, seed):
        yield from encoded(batch)

"""The text of one shard as token ids: tokenized once, for every sequence length and duplicate."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any, Iterator, List, NamedTuple

from bertkit.data.instances.tokens import WordPieces

Array = Any  # numpy.ndarray, which in the numpy of Python 3.8 has no type that mypy could check

# Enough to keep the tokenizer busy; the text of a shard is never in memory as a whole.
_LINES_AT_ONCE = 2000


class Tokenized(NamedTuple):
    """Token ids of a shard, one sentence after another.

    Attributes:
        ids: all of them, int32.
        documents: for each document where its sentences begin in ``ids``, and where the last ends.
    """

    ids: Array
    documents: List[List[int]]


def tokenize(shard: Path, pieces: WordPieces) -> Tokenized:
    """The tokens of a shard of text: a sentence a line, an empty line between documents.

    Sentences without a token, and documents without such a sentence, are left out.
    """
    import numpy as np

    parts: List[Array] = []
    documents: List[List[int]] = []
    edges = [0]
    for lines in _batches(shard):
        found = pieces.ids(lines)
        for line, ids in zip(lines, found):
            if ids:
                edges.append(edges[-1] + len(ids))
            elif not line and len(edges) > 1:
                documents.append(edges)
                edges = [edges[-1]]
        parts.append(np.array([token for ids in found for token in ids], dtype=np.int32))
    if len(edges) > 1:
        documents.append(edges)
    return Tokenized(np.concatenate(parts) if parts else np.zeros(0, np.int32), documents)


def _batches(shard: Path) -> Iterator[List[str]]:
    with shard.open(encoding="utf-8", newline="\n") as stream:
        while True:
            lines = [line.strip() for line in islice(stream, _LINES_AT_ONCE)]
            if not lines:
                return
            yield lines

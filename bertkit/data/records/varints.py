"""Numbers as protobuf writes them (varints), many at once."""

from __future__ import annotations

from typing import Any, Tuple

import numpy as np

Array = Any  # numpy.ndarray, which in the numpy of Python 3.8 has no type that mypy could check


#: more than any varint of three bytes
TOO_LONG = 1 << 21


def decode_varints(packed: bytes) -> Array:
    """The numbers (int64) of a row of varints; those of more than three bytes are TOO_LONG."""
    content = np.frombuffer(packed, dtype=np.uint8)
    last = np.flatnonzero(content < 0x80)
    first = np.concatenate([[0], last[:-1] + 1]) if len(last) else last
    sizes = last - first + 1
    numbers = content[first].astype(np.int64) & 0x7F
    for place in (1, 2):
        longer = np.flatnonzero(sizes > place)
        numbers[longer] |= (content[first[longer] + place].astype(np.int64) & 0x7F) << 7 * place
    numbers[sizes > 3] = TOO_LONG
    return numbers


def encode_varints(numbers: Array) -> Tuple[bytes, Array]:
    """A row of numbers below TOO_LONG as varints, and where each begins (and the last one ends)."""
    sizes = np.ones(len(numbers), dtype=np.int64)
    longer = [np.flatnonzero(numbers >= 1 << 7 * place) for place in (1, 2)]
    for which in longer:
        sizes[which] += 1
    edges = sums_of_groups(sizes)
    packed = np.empty(edges[-1], dtype=np.uint8)
    packed[edges[:-1]] = numbers & 0x7F
    for place, which in enumerate(longer, 1):
        packed[edges[which] + place - 1] |= 0x80
        packed[edges[which] + place] = numbers[which] >> 7 * place & 0x7F
    return packed.tobytes(), edges


def sums_of_groups(sizes: Array) -> Array:
    """Where groups of these sizes begin in a row, and where the last one ends (int64)."""
    edges = np.zeros(len(sizes) + 1, dtype=np.int64)
    np.cumsum(sizes, out=edges[1:])
    return edges

"""Varints of many numbers at once are those of one after another."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bertkit.data.records.tfrecord import varint
from bertkit.data.records.varints import TOO_LONG, decode_varints, encode_varints


@given(st.lists(st.integers(0, (1 << 40) - 1)))
def test_varints_are_decoded_but_for_long_ones(numbers):
    found = decode_varints(b"".join(map(varint, numbers))).tolist()
    assert found == [min(number, TOO_LONG) for number in numbers]


@given(st.lists(st.integers(0, TOO_LONG - 1)))
def test_numbers_are_encoded_one_behind_the_other(numbers):
    packed, edges = encode_varints(np.array(numbers, dtype=np.int64))
    pieces = [packed[a:b] for a, b in zip(edges.tolist(), edges.tolist()[1:])]
    assert pieces == [varint(number) for number in numbers]

"""Values are found in the bytes of records, and what is no such record harms nobody."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from bertkit.data.packing.fields import UNPACKED, find_fields
from bertkit.data.records.frames import Frames, framed
from bertkit.data.records.tfrecord import decode_example, encode_example
from tests.data.packing.records import example


def frames_of(contents):
    edges = [0]
    buffer = b""
    for record in framed(contents):
        buffer += record
        edges.append(len(buffer))
    return Frames(buffer, edges, 1)


def test_values_are_found_where_they_stand():
    rng = random.Random(1)
    examples = [example(length, rng) for length in (5, 20, 48)]
    contents = []
    for shift, each in enumerate(examples):
        names = list(each)
        contents.append(
            encode_example({name: each[name] for name in names[shift:] + names[:shift]})
        )
    frames = frames_of(contents)
    places = find_fields(frames, UNPACKED)
    assert places.understood.all()
    for record, wanted in enumerate(examples):
        for number, name in enumerate(UNPACKED):
            start, end = places.starts[record, number], places.ends[record, number]
            alone = encode_example({name: wanted[name]})
            assert alone.endswith(frames.buffer[start:end])
            assert len(alone) - (end - start) <= len(name) + 16


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_record_that_is_none_is_not_understood_or_is_one(data):
    """Whatever bytes change: what is understood is what the slow way reads, too."""
    good = encode_example(example(20, random.Random(1)))
    changed = bytearray(good)
    for place in data.draw(st.lists(st.integers(0, len(good) - 1), max_size=4)):
        changed[place] = data.draw(st.integers(0, 255))
    cut = bytes(changed[: data.draw(st.integers(0, len(good)))]) + data.draw(st.binary(max_size=3))
    frames = frames_of([good, cut, good])
    places = find_fields(frames, UNPACKED)
    assert places.understood[[0, 2]].all()
    if places.understood[1]:
        found = decode_example(cut)
        assert set(found) == set(UNPACKED)
        lengths = (places.ends - places.starts)[1]
        for number, name in enumerate(UNPACKED):
            assert (lengths[number] == 0) == (not found[name])

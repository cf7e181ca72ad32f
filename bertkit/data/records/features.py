"""What stands around the values of a feature in a ``tf.train.Example``; see ``example.proto``."""

from __future__ import annotations

from bertkit.data.records.tfrecord import FLOAT_LIST, INT64_LIST, field


def header(name: str, size: int) -> bytes:
    """What stands before *size* bytes of values of the feature *name*; weights are floats."""
    kind = FLOAT_LIST if name.endswith("_weights") else INT64_LIST
    feature = field(kind, field(1, bytes(size)))
    entry = field(1, field(1, name.encode("ascii")) + field(2, feature))
    return entry[: len(entry) - size]

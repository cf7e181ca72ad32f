"""Batches of sequences as serialized ``tf.train.Example`` messages, in upstream's unpacked schema.

``input_ids``, ``input_mask``, ``segment_ids`` have a value for each token of the padded row, the
``masked_lm_*`` one for each possible prediction, ``next_sentence_labels`` one (1: B is from another
document). All but the ids are below 2**14, and most of what is written are bytes that numpy can put
in place for a whole batch at once.
"""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, Tuple

from bertkit.data.instances.masking import Batch
from bertkit.data.records.features import header
from bertkit.data.records.tfrecord import varint

Array = Any  # numpy.ndarray


def encoded(batch: Batch) -> Iterator[bytes]:
    """The message of each row of *batch*, in order."""
    import numpy as np

    tokens = np.arange(batch.ids.shape[1])
    filled = tokens < batch.lengths[:, None]
    second = filled & (tokens >= batch.first_lengths[:, None])
    weights = np.arange(batch.positions.shape[1]) < batch.counts[:, None]
    columns = {
        "input_ids": _varints(batch.ids),
        "input_mask": _single_bytes(filled),
        "segment_ids": _single_bytes(second),
        "masked_lm_positions": _varints(batch.positions),
        "masked_lm_ids": _varints(batch.labels),
        "masked_lm_weights": _floats(weights),
        "next_sentence_labels": _single_bytes(batch.random_next[:, None]),
    }
    headers: Dict[Tuple[str, int], bytes] = {}
    for row in range(len(batch.ids)):
        pieces: List[bytes] = []
        for name, (content, edges) in columns.items():
            begin, end = edges[row], edges[row + 1]
            key = name, end - begin
            if key not in headers:
                headers[key] = header(*key)
            pieces += (headers[key], content[begin:end])
        entries = b"".join(pieces)
        yield b"\x0a" + varint(len(entries)) + entries


def _varints(rows: Array) -> Tuple[bytes, List[int]]:
    """All rows as varints of up to three bytes, and where each row begins; the last: its end."""
    from bertkit.data.records.varints import encode_varints

    content, edges = encode_varints(rows.reshape(-1))
    return content, edges[:: rows.shape[1]].tolist()


def _single_bytes(rows: Array) -> Tuple[bytes, List[int]]:
    import numpy as np

    return _even(rows.astype(np.uint8).tobytes(), rows.shape)


def _floats(rows: Array) -> Tuple[bytes, List[int]]:
    count, width = rows.shape
    return _even(rows.astype("<f4").tobytes(), (count, width * 4))


def _even(content: bytes, shape: Tuple[int, int]) -> Tuple[bytes, List[int]]:
    return content, list(range(0, shape[0] * shape[1] + 1, shape[1]))

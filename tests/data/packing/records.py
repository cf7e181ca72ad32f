"""What the tests of packing make records of."""

from bertkit.data.records.tfrecord import encode_example

TOKENS, PREDICTIONS = 48, 7


def example(length, rng, tokens=TOKENS, predictions=PREDICTIONS, masked=None):
    """An unpacked record of so many tokens; with ids of one, two and three bytes."""
    masked = max(1, min(predictions, round(length * 0.15))) if masked is None else masked
    padding = [0] * (tokens - length)
    unused = [0] * (predictions - masked)
    first = rng.randrange(length + 1)
    return {
        "input_ids": [rng.choice([5, 101, 2003, 29000]) for _ in range(length)] + padding,
        "input_mask": [1] * length + padding,
        "segment_ids": [0] * first + [1] * (length - first) + padding,
        "masked_lm_positions": sorted(rng.sample(range(length), masked)) + unused,
        "masked_lm_ids": [rng.choice([7, 2003, 29000]) for _ in range(masked)] + unused,
        "masked_lm_weights": [1.0] * masked + [0.0] * len(unused),
        "next_sentence_labels": [rng.randrange(2)],
    }


def record(length, rng, tokens=TOKENS, predictions=PREDICTIONS, masked=None):
    return encode_example(example(length, rng, tokens, predictions, masked))


def sequences_of(example):
    """The sequences of an unpacked record (one) or of a pack, as plain tuples, decoded slowly."""
    mask = example["input_mask"]
    weights = example["masked_lm_weights"]
    found = []
    for index in range(1, max(mask) + 1):
        begin, length = mask.index(index), mask.count(index)
        which = [n for n, weight in enumerate(weights) if weight == index]
        found.append(
            (
                tuple(example["input_ids"][begin : begin + length]),
                tuple(example["segment_ids"][begin : begin + length]),
                tuple(example["masked_lm_positions"][n] - begin for n in which),
                tuple(example["masked_lm_ids"][n] for n in which),
                example["next_sentence_labels"][index - 1],
            )
        )
    return found

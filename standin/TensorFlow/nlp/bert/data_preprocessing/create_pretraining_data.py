"""Records of masked words and next sentences from text with a sentence a line."""

import os
import random
import zlib

import tensorflow as tf

SHORT_PROBABILITY = 0.1


def read_documents(path, tokenizer):
    """Documents as lists of sentences as lists of tokens."""
    documents = [[]]
    with open(path, encoding="utf-8") as file:
        for line in file:
            if line.strip():
                documents[-1].append(tokenizer.tokenize(line))
            else:
                documents.append([])
    documents = [[tokens for tokens in document if tokens] for document in documents]
    return [document for document in documents if document]


def pairs(documents, rng, max_seq_length):
    """(first tokens, second tokens, 1 if the second does not follow) over all documents."""
    for document in documents:
        room = max_seq_length - 3
        target = rng.randint(2, room) if rng.random() < SHORT_PROBABILITY else room
        chunk = []
        place = 0
        while place < len(document):
            chunk.append(document[place])
            place += 1
            if place < len(document) and sum(map(len, chunk)) < target:
                continue
            cut = rng.randint(1, len(chunk) - 1) if len(chunk) > 1 else 1
            first = [token for sentence in chunk[:cut] for token in sentence]
            strange = len(documents) > 1 and (len(chunk) == 1 or rng.random() < 0.5)
            if strange:
                other = document
                while other is document:
                    other = rng.choice(documents)
                start = rng.randrange(len(other))
                second = [token for sentence in other[start:] for token in sentence]
                second = second[: max(1, target - len(first))]
                # The sentences that were not used begin the next pair.
                place -= len(chunk) - cut
            else:
                second = [token for sentence in chunk[cut:] for token in sentence]
            chunk = []
            if first and second:
                yield *shortened(first, second, room, rng), int(strange)


def shortened(first, second, room, rng):
    """Both, cut at either end of the longer one until they fit."""
    first, second = list(first), list(second)
    while len(first) + len(second) > room:
        longer = first if len(first) > len(second) else second
        longer.pop(0 if rng.random() < 0.5 else -1)
    return first, second


def masked(tokens, vocabulary, rng, probability, most):
    """The tokens with some hidden, and the hidden ones as [(place, token)]."""
    places = [n for n, token in enumerate(tokens) if token not in ("[CLS]", "[SEP]")]
    count = min(most, max(1, round(len(tokens) * probability)))
    hidden = sorted(rng.sample(places, min(count, len(places))))
    shown = list(tokens)
    for place in hidden:
        draw = rng.random()
        if draw < 0.8:
            shown[place] = "[MASK]"
        elif draw < 0.9:
            shown[place] = rng.choice(vocabulary)
    return shown, [(place, tokens[place]) for place in hidden]


def example(tokenizer, first, second, strange, rng, args):
    vocabulary = list(tokenizer.vocab)
    tokens = ["[CLS]", *first, "[SEP]", *second, "[SEP]"]
    shown, hidden = masked(
        tokens, vocabulary, rng, args.masked_lm_prob, args.max_predictions_per_seq
    )
    padding = [0] * (args.max_seq_length - len(tokens))
    unused = [0] * (args.max_predictions_per_seq - len(hidden))
    integers = {
        "input_ids": tokenizer.ids(shown) + padding,
        "input_mask": [1] * len(tokens) + padding,
        "segment_ids": [0] * (len(first) + 2) + [1] * (len(second) + 1) + padding,
        "masked_lm_positions": [place for place, _ in hidden] + unused,
        "masked_lm_ids": tokenizer.ids([token for _, token in hidden]) + unused,
        "next_sentence_labels": [strange],
    }
    feature = {
        name: tf.train.Feature(int64_list=tf.train.Int64List(value=values))
        for name, values in integers.items()
    }
    weights = tf.train.FloatList(value=[1.0] * len(hidden) + [0.0] * len(unused))
    feature["masked_lm_weights"] = tf.train.Feature(float_list=weights)
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


def write_records(tokenizer, input_file, output_file, args):
    """Write one shard's records, shuffled; the same shard and seed give the same file."""
    rng = random.Random(args.random_seed + zlib.crc32(os.path.basename(output_file).encode()))
    documents = read_documents(input_file, tokenizer)
    found = [
        example(tokenizer, *pair, rng, args)
        for _ in range(args.dupe_factor)
        for pair in pairs(documents, rng, args.max_seq_length)
    ]
    rng.shuffle(found)
    with tf.io.TFRecordWriter(output_file) as writer:
        for record in found:
            writer.write(record)
    return len(found)

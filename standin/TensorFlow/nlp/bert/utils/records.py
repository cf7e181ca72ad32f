"""TFRecords in and out."""

import os

import tensorflow as tf


def ints(*shape):
    return tf.io.FixedLenFeature(list(shape), tf.int64)


def floats(*shape):
    return tf.io.FixedLenFeature(list(shape), tf.float32)


def parse(batch, features):
    """A batch of serialized examples as tensors; integers become int32."""
    parsed = tf.io.parse_example(batch, features)
    return {
        name: tf.cast(value, tf.int32) if value.dtype == tf.int64 else value
        for name, value in parsed.items()
    }


def batches(dataset, features, batch_size, drop_remainder):
    dataset = dataset.batch(batch_size, drop_remainder=drop_remainder)
    return dataset.map(lambda batch: parse(batch, features)).prefetch(2)


def write(path, rows):
    """Write rows of integers (name -> list), one example each.

    The file appears whole, because several ranks may write and read the same one at once.
    """
    unfinished = f"{path}.{os.getpid()}"
    with tf.io.TFRecordWriter(unfinished) as writer:
        for row in rows:
            feature = {
                name: tf.train.Feature(int64_list=tf.train.Int64List(value=values))
                for name, values in row.items()
            }
            example = tf.train.Example(features=tf.train.Features(feature=feature))
            writer.write(example.SerializeToString())
    os.replace(unfinished, path)

"""Fine-tune BERT to classify sentences or pairs of them.

The stand-in for upstream's script of the same name; see standin/README.md.
"""

import csv
import os
from typing import NamedTuple, Optional, Tuple

import tensorflow as tf
from absl import app, flags
from TensorFlow.nlp.bert import modeling
from TensorFlow.nlp.bert.data_preprocessing import tokenization
from TensorFlow.nlp.bert.utils import finetuning, habana_hooks, ranks, records

FLAGS = flags.FLAGS
v1 = tf.compat.v1


class Columns(NamedTuple):
    header: bool
    first: int
    second: Optional[int]
    label: Optional[int]  # None: the file has no labels


class Task(NamedTuple):
    labels: Tuple[str, ...]
    dev: str
    test: str
    labelled: Columns
    unlabelled: Columns


TASKS = {
    "mrpc": Task(
        ("0", "1"), "dev.tsv", "test.tsv", Columns(True, 3, 4, 0), Columns(True, 3, 4, None)
    ),
    "cola": Task(
        ("0", "1"), "dev.tsv", "test.tsv", Columns(False, 3, None, 1), Columns(True, 1, None, None)
    ),
    "mnli": Task(
        ("contradiction", "entailment", "neutral"),
        "dev_matched.tsv",
        "test_matched.tsv",
        Columns(True, 8, 9, -1),
        Columns(True, 8, 9, None),
    ),
}


def define_flags():
    finetuning.define_flags(max_seq_length=128)
    flags.DEFINE_string("data_dir", None, "The directory of the .tsv files.", required=True)
    flags.DEFINE_string("task_name", None, f"One of {', '.join(TASKS)}.", required=True)
    flags.DEFINE_integer("eval_batch_size", 8, "Records an evaluation step.")
    flags.DEFINE_float("dropout_before_logits", 0.1, "Dropout of the pooled output.")


def read_examples(path, columns, labels):
    """(first text, second text or None, number of the label) of each line."""
    with open(path, encoding="utf-8", newline="") as file:
        lines = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    examples = []
    for line in lines[1:] if columns.header else lines:
        second = None if columns.second is None else line[columns.second]
        label = 0 if columns.label is None else labels.index(line[columns.label])
        examples.append((line[columns.first], second, label))
    return examples


def row_of(tokenizer, first, second, label):
    """The record of an example; the longer of two texts is cut first."""
    first = tokenizer.tokenize(first)
    second = tokenizer.tokenize(second) if second is not None else []
    room = FLAGS.max_seq_length - (3 if second else 2)
    while len(first) + len(second) > room:
        (first if len(first) > len(second) else second).pop()
    tokens = ["[CLS]", *first, "[SEP]"]
    segments = [0] * len(tokens)
    if second:
        tokens += [*second, "[SEP]"]
        segments += [1] * (len(second) + 1)
    return {
        **finetuning.encoded(tokenizer, tokens, segments),
        "label_ids": [label],
        "is_real_example": [1],
    }


def features_of_a_record():
    return {
        **finetuning.encoded_features(),
        "label_ids": records.ints(),
        "is_real_example": records.ints(),
    }


def model_fn_builder(config, num_labels, num_train_steps):
    def model_fn(features, labels, mode):
        training = mode == tf.estimator.ModeKeys.TRAIN
        pooled = finetuning.run_model(config, training, features).pooled_output
        if training:
            pooled = tf.nn.dropout(pooled, rate=FLAGS.dropout_before_logits)
        kernel = modeling.weight("output_weights", [num_labels, config.hidden_size], config)
        answers = features["label_ids"]
        logits, each = modeling.classify(pooled, kernel, "output_bias", answers)
        loss = tf.reduce_mean(each)
        if training:
            op = finetuning.train_op(loss, num_train_steps)
            return tf.estimator.EstimatorSpec(mode, loss=loss, train_op=op)
        if mode == tf.estimator.ModeKeys.PREDICT:
            return tf.estimator.EstimatorSpec(mode, {"probabilities": tf.nn.softmax(logits)})
        predicted = tf.argmax(logits, axis=-1, output_type=tf.int32)
        accuracy = v1.metrics.accuracy(answers, predicted, features["is_real_example"])
        return tf.estimator.EstimatorSpec(mode, loss=loss, eval_metric_ops={"accuracy": accuracy})

    return model_fn


def main(_):
    if not (FLAGS.do_train or FLAGS.do_eval or FLAGS.do_predict):
        raise ValueError("At least one of `do_train`, `do_eval` or `do_predict' must be True.")
    task = TASKS.get(FLAGS.task_name.lower())
    if task is None:
        raise ValueError(f"Task not found: {FLAGS.task_name}")
    config = finetuning.start()
    finetuning.refuse_without_training()
    tokenizer = tokenization.FullTokenizer(FLAGS.vocab_file, FLAGS.do_lower_case)

    examples = read_examples(os.path.join(FLAGS.data_dir, "train.tsv"), task.labelled, task.labels)
    num_train_steps = int(
        len(examples) / (FLAGS.train_batch_size * ranks.size()) * FLAGS.num_train_epochs
    )
    estimator = finetuning.estimator(
        model_fn_builder(config, len(task.labels), num_train_steps), keep_checkpoint_max=5
    )
    train(estimator, tokenizer, examples, num_train_steps)
    if FLAGS.do_eval:
        evaluate(estimator, tokenizer, task)
    if FLAGS.do_predict:
        predict(estimator, tokenizer, task)


def train(estimator, tokenizer, examples, num_train_steps):
    """Each rank writes its share of the records, then all read every rank's file."""
    files = [os.path.join(FLAGS.output_dir, "train.tf_record")]
    if ranks.horovod_enabled():
        files = [f"{files[0]}_{number}" for number in range(ranks.size())]
    own = finetuning.share(examples)
    records.write(files[ranks.rank()], [row_of(tokenizer, *example) for example in own])
    v1.logging.info("***** Running training *****")
    v1.logging.info("  Num examples = %d", len(examples))
    shard = (ranks.size(), ranks.rank())
    finetuning.train(estimator, files, shard, features_of_a_record(), num_train_steps)


def write_unshuffled(tokenizer, task, source, columns, name):
    """Records of a .tsv file in its order; every rank writes the same file."""
    examples = read_examples(os.path.join(FLAGS.data_dir, source), columns, task.labels)
    path = os.path.join(FLAGS.output_dir, name)
    records.write(path, [row_of(tokenizer, *example) for example in examples])
    return path, len(examples)


def evaluate(estimator, tokenizer, task):
    path, count = write_unshuffled(tokenizer, task, task.dev, task.labelled, "eval.tf_record")
    v1.logging.info("***** Running evaluation *****")
    v1.logging.info("  Num examples = %d (%d actual, %d padding)", count, count, 0)
    v1.logging.info("  Batch size = %d", FLAGS.eval_batch_size)
    result = estimator.evaluate(
        finetuning.in_order(path, features_of_a_record(), FLAGS.eval_batch_size),
        hooks=[habana_hooks.PerfLoggingHook(FLAGS.eval_batch_size, "eval")],
    )
    v1.logging.info("***** Eval results *****")
    with tf.io.gfile.GFile(os.path.join(FLAGS.output_dir, "eval_results.txt"), "w") as file:
        for key in sorted(result):
            v1.logging.info("  %s = %s", key, result[key])
            file.write(f"{key} = {result[key]!s}\n")


def predict(estimator, tokenizer, task):
    path, count = write_unshuffled(tokenizer, task, task.test, task.unlabelled, "predict.tf_record")
    v1.logging.info("***** Running prediction*****")
    v1.logging.info("  Num examples = %d (%d actual, %d padding)", count, count, 0)
    v1.logging.info("  Batch size = %d", FLAGS.predict_batch_size)
    input_fn = finetuning.in_order(path, features_of_a_record(), FLAGS.predict_batch_size)
    with tf.io.gfile.GFile(os.path.join(FLAGS.output_dir, "test_results.tsv"), "w") as file:
        for prediction in estimator.predict(input_fn):
            file.write("\t".join(str(share) for share in prediction["probabilities"]) + "\n")


if __name__ == "__main__":
    tf.get_logger().propagate = False
    define_flags()
    app.run(main)

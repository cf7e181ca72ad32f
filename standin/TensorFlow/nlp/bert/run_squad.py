"""Fine-tune BERT to find answers in paragraphs (SQuAD 1.1).

The stand-in for upstream's script of the same name; see standin/README.md.
"""

import json
import os
import random
from collections import defaultdict
from typing import List, NamedTuple

import numpy as np
import tensorflow as tf
from absl import app, flags
from TensorFlow.nlp.bert import modeling
from TensorFlow.nlp.bert.data_preprocessing import tokenization
from TensorFlow.nlp.bert.utils import finetuning, habana_hooks, ranks, records, squad_metrics
from TensorFlow.nlp.bert.utils.ranks import hvd

FLAGS = flags.FLAGS
v1 = tf.compat.v1


class Question(NamedTuple):
    key: str
    text: str
    paragraph: str
    pieces: List[tokenization.Piece]  # of the paragraph
    answer: range  # the pieces of the answer; empty if unknown


class Window(NamedTuple):
    """A question with as much of its paragraph as the model can read at once."""

    number: int
    question: Question
    shown: range  # these pieces of the paragraph
    offset: int  # which are the model's inputs from here on
    best: range  # the inputs whose surroundings no other window shows better
    row: dict


def define_flags():
    finetuning.define_flags(max_seq_length=384)
    flags.DEFINE_string("train_file", None, "SQuAD JSON to train on.")
    flags.DEFINE_string("predict_file", None, "SQuAD JSON to answer.")
    flags.DEFINE_integer("doc_stride", 128, "Tokens from one window to the next.")
    flags.DEFINE_integer("max_query_length", 64, "Tokens of a question, at most.")
    flags.DEFINE_float("num_train_steps", None, "Steps, instead of --num_train_epochs.")
    flags.DEFINE_integer("n_best_size", 20, "Answers in nbest_predictions.json, at most.")
    flags.DEFINE_integer("max_answer_length", 30, "Tokens of an answer, at most.")
    flags.DEFINE_bool("verbose_logging", False, "Without effect.")
    flags.DEFINE_bool("version_2_with_negative", False, "Not in the stand-in: SQuAD 2.0.")
    flags.DEFINE_float("null_score_diff_threshold", 0.0, "Belongs to SQuAD 2.0.")
    flags.DEFINE_bool("deterministic_run", False, "Fixed seeds and no dropout.")
    flags.DEFINE_integer("deterministic_seed", 1, "The seed of --deterministic_run.")
    flags.DEFINE_integer("horovod_fusion_threshold", 256, "For Gaudi2, in MB.")


def refuse_what_cannot_be():
    if not FLAGS.do_train and not FLAGS.do_predict:
        raise ValueError("At least one of `do_train` or `do_predict` must be True.")
    if FLAGS.do_train and not FLAGS.train_file:
        raise ValueError("If `do_train` is True, then `train_file` must be specified.")
    if FLAGS.do_predict and not FLAGS.predict_file:
        raise ValueError("If `do_predict` is True, then `predict_file` must be specified.")
    if FLAGS.max_seq_length <= FLAGS.max_query_length + 3:
        raise ValueError(
            f"The max_seq_length ({FLAGS.max_seq_length}) must be greater than "
            f"max_query_length ({FLAGS.max_query_length}) + 3"
        )
    if FLAGS.version_2_with_negative:
        raise ValueError("The stand-in does not know SQuAD 2.0.")


def read_questions(path, tokenizer, training):
    with tf.io.gfile.GFile(path, "r") as file:
        articles = json.load(file)["data"]
    questions = []
    for paragraph in (p for article in articles for p in article["paragraphs"]):
        text = paragraph["context"]
        pieces = tokenizer.pieces(text)
        for asked in paragraph["qas"]:
            answer = range(0)
            if training:
                if len(asked["answers"]) != 1:
                    raise ValueError("For training, each question should have exactly 1 answer.")
                start = asked["answers"][0]["answer_start"]
                answer = within(pieces, start, start + len(asked["answers"][0]["text"]))
                if not answer:
                    v1.logging.warning("Could not find the answer to %s", asked["id"])
                    continue
            questions.append(Question(asked["id"], asked["question"], text, pieces, answer))
    return questions


def within(pieces, start, end):
    """The pieces that share characters with text[start:end]."""
    inside = [n for n, piece in enumerate(pieces) if piece.end > start and piece.start < end]
    return range(inside[0], inside[-1] + 1) if inside else range(0)


def windows_of(questions, tokenizer):
    number = 1000000000
    for question in questions:
        asked = tokenizer.tokenize(question.text)[: FLAGS.max_query_length]
        head = ["[CLS]", *asked, "[SEP]"]
        spans = spans_of(len(question.pieces), FLAGS.max_seq_length - len(head) - 1)
        for index, span in enumerate(spans):
            shown = [question.pieces[n].text for n in span]
            row = finetuning.encoded(
                tokenizer, [*head, *shown, "[SEP]"], [0] * len(head) + [1] * (len(shown) + 1)
            )
            shift = len(head) - span.start
            hit = question.answer
            seen = bool(hit) and span.start <= hit.start and hit.stop <= span.stop
            row["unique_ids"] = [number]
            row["start_positions"] = [hit.start + shift if seen else 0]
            row["end_positions"] = [hit.stop - 1 + shift if seen else 0]
            best = best_seen(spans, index)
            inputs = range(best.start + shift, best.stop + shift)
            yield Window(number, question, span, len(head), inputs, row)
            number += 1


def spans_of(count, room):
    """Overlapping ranges that cover `count` tokens, --doc_stride apart."""
    spans = [range(0, min(count, room))]
    while spans[-1].stop < count:
        start = spans[-1].start + min(room, FLAGS.doc_stride)
        spans.append(range(start, min(count, start + room)))
    return spans


def best_seen(spans, index):
    """The part of a span that has more context there than in the neighbours.

    Spans are evenly spaced, so the borders lie in the middle of the overlaps.
    """
    start, stop = spans[index].start, spans[index].stop
    if index > 0:
        start = (start + spans[index - 1].stop + 1) // 2
    if index + 1 < len(spans):
        stop = (stop + spans[index + 1].start + 1) // 2
    return range(start, max(start, stop))


def features_of_a_record(training):
    features = {**finetuning.encoded_features(), "unique_ids": records.ints()}
    if training:
        features["start_positions"] = features["end_positions"] = records.ints()
    return features


def model_fn_builder(config, num_train_steps):
    def model_fn(features, labels, mode):
        training = mode == tf.estimator.ModeKeys.TRAIN
        hidden = finetuning.run_model(config, training, features).sequence_output
        with v1.variable_scope("cls/squad"):
            kernel = modeling.weight("output_weights", [2, config.hidden_size], config)
            bias = modeling.zeros("output_bias", [2])
        logits = tf.tensordot(hidden, kernel, axes=[[2], [1]]) + bias
        start, end = logits[:, :, 0], logits[:, :, 1]
        if not training:
            predictions = {
                "unique_ids": features["unique_ids"],
                "start_logits": start,
                "end_logits": end,
            }
            return tf.estimator.EstimatorSpec(mode, predictions)
        losses = [
            tf.nn.sparse_softmax_cross_entropy_with_logits(labels=features[name], logits=scores)
            for name, scores in (("start_positions", start), ("end_positions", end))
        ]
        loss = tf.reduce_mean(tf.add_n(losses)) / 2.0
        op = finetuning.train_op(loss, num_train_steps)
        return tf.estimator.EstimatorSpec(mode, loss=loss, train_op=op)

    return model_fn


def main(_):
    refuse_what_cannot_be()
    if not FLAGS.cpu_only:
        from habana_frameworks.tensorflow.habana_device import get_type

        if get_type() == "GAUDI2":
            os.environ["HOROVOD_FUSION_THRESHOLD"] = str(FLAGS.horovod_fusion_threshold)
    config = finetuning.start()
    finetuning.refuse_without_training()
    if FLAGS.deterministic_run:
        tf.random.set_seed(FLAGS.deterministic_seed)
        config = config.without_dropout()
    tokenizer = tokenization.FullTokenizer(FLAGS.vocab_file, FLAGS.do_lower_case)

    questions = read_questions(FLAGS.train_file, tokenizer, training=True)
    # Before they are dealt to the ranks; the buffer of the input pipeline is small.
    random.Random(12345).shuffle(questions)
    steps = FLAGS.num_train_steps
    if steps is None:
        global_batch = FLAGS.train_batch_size * ranks.size()
        steps = int(len(questions) / global_batch * FLAGS.num_train_epochs)
    estimator = finetuning.estimator(model_fn_builder(config, steps), keep_checkpoint_max=1)
    train(estimator, tokenizer, questions, steps)
    if FLAGS.do_predict:
        answers = predict(estimator, tokenizer)
        if FLAGS.do_eval:
            evaluate(answers)


def train(estimator, tokenizer, questions, steps):
    """The ranks of a node write and read the node's files, as upstream has it.

    The files are numbered by local rank, so nodes that share the directory overwrite each other.
    """
    files = [os.path.join(FLAGS.output_dir, "train.tf_record")]
    shard = (1, 0)
    if ranks.horovod_enabled():
        shard = (hvd.local_size(), hvd.local_rank())
        files = [f"{files[0]}_{number}" for number in range(hvd.local_size())]
    rows = [window.row for window in windows_of(finetuning.share(questions), tokenizer)]
    records.write(files[shard[1]], rows)
    v1.logging.info("***** Running training *****")
    v1.logging.info("  Num orig examples = %d", len(questions))
    v1.logging.info("  Num split examples = %d", len(rows))
    finetuning.train(estimator, files, shard, features_of_a_record(training=True), steps)


def predict(estimator, tokenizer):
    """Answer the questions of --predict_file and write both files; question id -> answer."""
    questions = read_questions(FLAGS.predict_file, tokenizer, training=False)
    windows = list(windows_of(questions, tokenizer))
    path = os.path.join(finetuning.model_dir(), "eval.tf_record")
    records.write(path, [window.row for window in windows])
    v1.logging.info("***** Running predictions *****")
    v1.logging.info("  Num orig examples = %d", len(questions))
    v1.logging.info("  Num split examples = %d", len(windows))
    v1.logging.info("  Batch size = %d", FLAGS.predict_batch_size)
    features = features_of_a_record(training=False)
    results = estimator.predict(
        finetuning.in_order(path, features, FLAGS.predict_batch_size),
        hooks=[habana_hooks.PerfLoggingHook(FLAGS.predict_batch_size, "eval")],
    )
    scores = {int(r["unique_ids"]): (r["start_logits"], r["end_logits"]) for r in results}

    by_question = defaultdict(list)
    for window in windows:
        by_question[window.question.key].append(window)
    nbest = {key: best_answers(shown, scores) for key, shown in by_question.items()}
    answers = {key: candidates[0]["text"] for key, candidates in nbest.items()}
    for name, content in (("predictions.json", answers), ("nbest_predictions.json", nbest)):
        with tf.io.gfile.GFile(os.path.join(finetuning.model_dir(), name), "w") as file:
            file.write(json.dumps(content, indent=4) + "\n")
    return answers


def best_answers(windows, scores):
    """The likeliest spans of the paragraph, best first, each text once."""
    spans = []
    for window in windows:
        starts, ends = scores[window.number]
        last = window.offset + len(window.shown)
        for start in likeliest(starts, window.best):
            reach = range(start, min(last, start + FLAGS.max_answer_length))
            for end in likeliest(ends, reach):
                spans.append((float(starts[start]), float(ends[end]), window, start, end))
    spans.sort(key=lambda span: span[0] + span[1], reverse=True)

    found = {}
    for start_score, end_score, window, start, end in spans:
        shift = window.shown.start - window.offset
        pieces = window.question.pieces
        text = window.question.paragraph[pieces[start + shift].start : pieces[end + shift].end]
        found.setdefault(text, (start_score, end_score))
        if len(found) == FLAGS.n_best_size:
            break
    found = found or {"empty": (0.0, 0.0)}
    totals = np.array([sum(pair) for pair in found.values()])
    shares = np.exp(totals - totals.max())
    shares /= shares.sum()
    return [
        {"text": text, "probability": float(share), "start_logit": pair[0], "end_logit": pair[1]}
        for (text, pair), share in zip(found.items(), shares)
    ]


def likeliest(scores, places):
    """The --n_best_size best of these places."""
    return sorted(places, key=lambda place: scores[place], reverse=True)[: FLAGS.n_best_size]


def evaluate(answers):
    with tf.io.gfile.GFile(FLAGS.predict_file, "r") as file:
        scores = squad_metrics.evaluate(json.load(file)["data"], answers)
    v1.logging.warning("Exact matches %s", scores["exact_match"] / 100.0)
    v1.logging.warning("Final accuracy %s", scores["f1"] / 100.0)


if __name__ == "__main__":
    tf.get_logger().propagate = False
    define_flags()
    app.run(main)

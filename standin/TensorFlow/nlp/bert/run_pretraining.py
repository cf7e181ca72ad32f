"""Pre-train BERT on masked words and next sentences.

The stand-in for upstream's script of the same name: its command line, its files and its log
lines, a small part of its code. See standin/README.md.
"""

import glob
import json
import os
import random
import time

import numpy as np
import tensorflow as tf
from absl import app, flags
from habana_frameworks.tensorflow import load_habana_module
from habana_frameworks.tensorflow.multinode_helpers import comm_local_rank
from TensorFlow.common.tb_utils import ExamplesPerSecondEstimatorHook
from TensorFlow.nlp.bert import modeling, optimization
from TensorFlow.nlp.bert.utils import dllogger_class, pretraining_log, ranks, records
from TensorFlow.nlp.bert.utils.ranks import horovod_enabled, hvd

FLAGS = flags.FLAGS
v1 = tf.compat.v1
# The format of packed records: at most three sequences a pack.
PER_PACK = 3


def define_flags():
    text, number, switch, real = (
        flags.DEFINE_string,
        flags.DEFINE_integer,
        flags.DEFINE_bool,
        flags.DEFINE_float,
    )
    text("bert_config_file", None, "The architecture, as JSON.", required=True)
    text("input_files_dir", None, "Directories of TFRecords, comma separated.", required=True)
    text("eval_files_dir", None, "Directories of TFRecords to evaluate on, comma separated.")
    text("output_dir", None, "Where checkpoints go.", required=True)
    text("dllog_path", "/results/bert_dllog.json", "The file that dllogger writes.")
    text("init_checkpoint", None, "The checkpoint to start from.")
    text("export_dir", None, "Not in the stand-in: where the trained model would be exported.")
    text("optimizer_type", "lamb", "lamb or adam.")
    number("max_seq_length", 512, "Tokens a record.")
    number("max_predictions_per_seq", 80, "Masked words a record, at most.")
    switch("do_train", False, "Train.")
    switch("do_eval", False, "Evaluate.")
    number("train_batch_size", 32, "Records a rank and accumulation step.")
    number("eval_batch_size", 8, "Records an evaluation step.")
    real("learning_rate", 5e-5, "The peak for one rank; multiplied by the ranks with --horovod.")
    number("num_train_steps", 100000, "Updates of the weights.")
    number("num_warmup_steps", 10000, "Updates until the peak of the learning rate.")
    number("save_checkpoints_steps", 1000, "Updates between checkpoints.")
    number("save_summary_steps", 1, "Updates between summaries.")
    number("display_loss_steps", 10, "Updates between lines of dllogger.")
    number("iterations_per_loop", 1000, "Without effect, as in upstream.")
    number("max_eval_steps", 100, "Evaluation steps.")
    number("num_accumulation_steps", 1, "Batches a rank gathers for one update.")
    switch("allreduce_post_accumulation", False, "Average over ranks an update, not a batch.")
    switch("verbose_logging", False, "Log each variable.")
    switch("horovod", False, "Train with the other ranks.")
    switch("report_loss", True, "Without effect on the log, as in upstream.")
    switch("manual_fp16", False, "Not in the stand-in, nor does it work in upstream.")
    switch("amp", True, "Not in the stand-in, nor does it work in upstream: pass --noamp.")
    switch("use_xla", True, "Without effect on a CPU.")
    number("init_loss_scale", 2**32, "Belongs to --amp.")
    switch("deterministic_run", False, "Fixed seeds, no dropout, one pass in the files' order.")
    switch("horovod_hierarchical_allreduce", False, "Sets HOROVOD_HIERARCHICAL_ALLREDUCE.")
    text("bf16_config_path", None, "Sets TF_BF16_CONVERSION, which only Gaudi heeds.")
    switch("enable_scoped_allocator", False, "Without effect on a CPU.")
    switch("resume", False, "Take step and optimizer from --init_checkpoint too.")
    text("profile", "", "Not in the stand-in: the steps to profile.")
    number("keep_checkpoint_max", 2, "Checkpoints to keep.")


def refuse_what_cannot_be():
    if not FLAGS.do_train and not FLAGS.do_eval:
        raise ValueError("At least one of `do_train` or `do_eval` must be True.")
    if FLAGS.do_eval and not FLAGS.eval_files_dir:
        raise ValueError("`do_eval` needs `eval_files_dir`.")
    if FLAGS.amp and FLAGS.manual_fp16:
        raise ValueError("AMP and Manual Mixed Precision Training are both activated! Error")
    if FLAGS.amp or FLAGS.manual_fp16:
        raise ValueError("TensorFlow 2.8 and newer lack what --amp and --manual_fp16 need: --noamp")
    if FLAGS.export_dir or FLAGS.profile:
        raise ValueError("The stand-in knows neither --export_dir nor --profile.")


def average_sequences_per_pack(directory):
    """The average that the metadata beside a packed directory states; None for unpacked data."""
    path = os.path.normpath(directory) + "_metadata.json"
    if not os.path.exists(path):
        return None
    with open(path, encoding="utf-8") as file:
        metadata = json.load(file)
    if "avg_seq_per_sample" not in metadata:
        raise KeyError(
            f"Key avg_seq_per_sample not present in packed dataset metadata file: {path}"
        )
    return float(metadata["avg_seq_per_sample"])


def files_in(directories):
    found = [sorted(glob.glob(os.path.join(one, "*"))) for one in directories.split(",")]
    files = [path for paths in found for path in paths]
    if not files:
        raise ValueError(f"No input files in {directories}")
    return files


def features_of(length, predictions, packed):
    """The schema of a record."""
    masked = predictions + PER_PACK if packed else predictions
    features = {
        "input_ids": records.ints(length),
        "input_mask": records.ints(length),
        "segment_ids": records.ints(length),
        "masked_lm_positions": records.ints(masked),
        "masked_lm_ids": records.ints(masked),
        "masked_lm_weights": records.floats(masked),
        "next_sentence_labels": records.ints(PER_PACK if packed else 1),
    }
    if packed:
        features["positions"] = records.ints(length)
        features["next_sentence_positions"] = records.ints(PER_PACK)
        features["next_sentence_weights"] = records.floats(PER_PACK)
    return features


def input_fn_builder(
    input_files,
    batch_size,
    max_seq_length,
    max_predictions_per_seq,
    is_training,
    enable_packed_data_mode,
):
    """The records of this rank's files for ever, shuffled; all files in order to evaluate."""
    packed = enable_packed_data_mode and is_training
    features = features_of(max_seq_length, max_predictions_per_seq, packed)

    def input_fn():
        if FLAGS.deterministic_run:
            dataset = tf.data.TFRecordDataset(input_files)
            return records.batches(dataset, features, batch_size, drop_remainder=True)
        if not is_training:
            dataset = tf.data.TFRecordDataset(input_files).repeat()
            return records.batches(dataset, features, batch_size, drop_remainder=False)
        dataset = tf.data.Dataset.from_tensor_slices(input_files)
        dataset = dataset.shard(ranks.size(), ranks.rank()).repeat().shuffle(len(input_files))
        dataset = dataset.interleave(
            tf.data.TFRecordDataset, cycle_length=min(4, len(input_files)), block_length=1
        )
        return records.batches(dataset.shuffle(100), features, batch_size, drop_remainder=True)

    return input_fn


def masked_lm_loss(config, model, features):
    """The mean loss over the masked words, each word's loss, and the predicted words."""
    with v1.variable_scope("cls/predictions"):
        with v1.variable_scope("transform"):
            hidden = modeling.gather_positions(
                model.sequence_output, features["masked_lm_positions"]
            )
            activation = modeling.activation(config.hidden_act)
            hidden = modeling.dense("dense", hidden, config.hidden_size, config, activation)
            hidden = modeling.layer_norm(hidden)
        logits, each = modeling.classify(
            hidden, model.embedding_table, "output_bias", features["masked_lm_ids"]
        )
    # In packed records the weight is the number of the sequence.
    used = tf.cast(features["masked_lm_weights"] > 0, tf.float32)
    return weighted_mean(each, used), each, tf.argmax(logits, axis=-1, output_type=tf.int32)


def next_sentence_loss(config, model, features):
    """The mean loss over the pairs of sentences, each pair's loss, and the predicted classes."""
    packed = "next_sentence_weights" in features
    labels = features["next_sentence_labels"]
    with v1.variable_scope("cls/seq_relationship"):
        kernel = modeling.weight("output_weights", [2, config.hidden_size], config)
        logits, each = modeling.classify(
            model.pooled_output, kernel, "output_bias", labels if packed else labels[:, 0]
        )
    if packed:
        mean = weighted_mean(each, features["next_sentence_weights"])
    else:
        mean = tf.reduce_mean(each)
    return mean, each, tf.argmax(logits, axis=-1, output_type=tf.int32)


def weighted_mean(values, weights):
    return tf.reduce_sum(values * weights) / (tf.reduce_sum(weights) + 1e-5)


def model_fn_builder(config, learning_rate):
    def model_fn(features, labels, mode):
        training = mode == tf.estimator.ModeKeys.TRAIN
        model = modeling.BertModel(
            config,
            training,
            features["input_ids"],
            features["input_mask"],
            features["segment_ids"],
            features.get("positions"),
            features.get("next_sentence_positions"),
        )
        mlm_loss, mlm_each, mlm_predicted = masked_lm_loss(config, model, features)
        nsp_loss, nsp_each, nsp_predicted = next_sentence_loss(config, model, features)
        mlm_loss = tf.identity(mlm_loss, name="mlm_loss")
        nsp_loss = tf.identity(nsp_loss, name="nsp_loss")
        total_loss = tf.add(mlm_loss, nsp_loss, name="total_loss")

        train_op = metrics = None
        if training:
            train_op = optimization.create_optimizer(
                total_loss,
                learning_rate,
                FLAGS.num_train_steps,
                FLAGS.num_warmup_steps,
                FLAGS.num_accumulation_steps,
                FLAGS.optimizer_type,
                FLAGS.allreduce_post_accumulation,
            )
        else:
            weights = features["masked_lm_weights"]
            pairs = features["next_sentence_labels"][:, 0]
            metrics = {
                "masked_lm_accuracy": v1.metrics.accuracy(
                    features["masked_lm_ids"], mlm_predicted, weights
                ),
                "masked_lm_loss": v1.metrics.mean(mlm_each, weights),
                "next_sentence_accuracy": v1.metrics.accuracy(pairs, nsp_predicted),
                "next_sentence_loss": v1.metrics.mean(nsp_each),
            }
        if FLAGS.init_checkpoint:
            variables = v1.global_variables() if FLAGS.resume else v1.trainable_variables()
            taken = modeling.start_from(FLAGS.init_checkpoint, variables)
            v1.logging.info("%d variables start from %s", len(taken), FLAGS.init_checkpoint)
        if FLAGS.verbose_logging:
            for variable in v1.trainable_variables():
                v1.logging.info("  name = %s, shape = %s", variable.name, variable.shape)
        return tf.estimator.EstimatorSpec(
            mode, loss=total_loss, train_op=train_op, eval_metric_ops=metrics
        )

    return model_fn


def main(_):
    v1.logging.set_verbosity(v1.logging.INFO)
    refuse_what_cannot_be()
    if FLAGS.deterministic_run:
        tf.random.set_seed(1)
        random.seed(1)
        np.random.seed(1)
    if FLAGS.bf16_config_path is not None:
        os.environ["TF_BF16_CONVERSION"] = FLAGS.bf16_config_path
    if FLAGS.horovod:
        ranks.start_horovod(FLAGS.horovod_hierarchical_allreduce)
    load_habana_module()

    per_pack = average_sequences_per_pack(FLAGS.input_files_dir)
    enable_packed_data_mode = per_pack is not None
    if enable_packed_data_mode:
        FLAGS.num_accumulation_steps = round(FLAGS.num_accumulation_steps / per_pack)
        if FLAGS.num_accumulation_steps < 1:
            # Upstream goes on here, and its ranks drift apart without a word.
            raise ValueError(
                f"With {per_pack} sequences a pack num_accumulation_steps becomes 0: ask for more."
            )
    logger = dllogger_class.open_logger(FLAGS.dllog_path)

    # Phase 2 looks for a checkpoint in output_dir itself on each node, so the first rank of
    # each writes there. As in upstream, that goes wrong where nodes share the directory.
    if horovod_enabled() and comm_local_rank() != 0:
        FLAGS.output_dir = os.path.join(FLAGS.output_dir, f"worker_{hvd.rank()}")

    config = modeling.BertConfig.from_json_file(FLAGS.bert_config_file)
    config.refuse_longer_than_trained(FLAGS.max_seq_length)
    if FLAGS.deterministic_run:
        config = config.without_dropout()
    tf.io.gfile.makedirs(FLAGS.output_dir)

    input_files = files_in(FLAGS.input_files_dir)
    if len(input_files) < ranks.size():
        v1.logging.warning(
            "Input files count lower then expected. Using single file for OVERFIT test."
        )
        input_files = [input_files[0]] * ranks.size()

    estimator = tf.estimator.Estimator(
        model_fn_builder(config, FLAGS.learning_rate * ranks.size()),
        config=tf.estimator.RunConfig(
            model_dir=FLAGS.output_dir,
            session_config=ranks.session_config(),
            save_checkpoints_steps=FLAGS.save_checkpoints_steps,
            keep_checkpoint_max=FLAGS.keep_checkpoint_max,
            save_summary_steps=FLAGS.save_summary_steps,
            log_step_count_steps=1,
        ),
    )
    if FLAGS.do_train:
        train(estimator, logger, input_files, per_pack or 1.0, enable_packed_data_mode)
    if FLAGS.do_eval and ranks.rank() == 0:
        evaluate(estimator)


def train(estimator, logger, input_files, sequences_per_record, enable_packed_data_mode):
    rank_batch = FLAGS.train_batch_size * FLAGS.num_accumulation_steps * sequences_per_record
    global_batch = rank_batch * ranks.size()
    log_hook = pretraining_log.LogHook(
        logger, global_batch, FLAGS.display_loss_steps, FLAGS.save_checkpoints_steps
    )
    hooks = [
        *ranks.broadcast_hooks(),
        log_hook,
        ExamplesPerSecondEstimatorHook(rank_batch, global_batch, FLAGS.output_dir),
    ]
    v1.logging.info("***** Running training *****")
    v1.logging.info("  Batch size = %d", FLAGS.train_batch_size)
    train_input_fn = input_fn_builder(
        input_files=input_files,
        batch_size=FLAGS.train_batch_size,
        max_seq_length=FLAGS.max_seq_length,
        max_predictions_per_seq=FLAGS.max_predictions_per_seq,
        is_training=True,
        enable_packed_data_mode=enable_packed_data_mode,
    )
    began = time.monotonic()
    estimator.train(train_input_fn, hooks=hooks, max_steps=FLAGS.num_train_steps)
    elapsed = time.monotonic() - began
    if not log_hook.ran:
        # Upstream ends with an AttributeError here.
        raise RuntimeError(
            f"Nothing to train: {FLAGS.output_dir} holds a checkpoint of step "
            f"{FLAGS.num_train_steps} or later."
        )
    if ranks.rank() == 0:
        pretraining_log.log_throughput(
            logger, log_hook, FLAGS.num_train_steps, global_batch, elapsed
        )


def evaluate(estimator):
    v1.logging.info("***** Running evaluation *****")
    v1.logging.info("  Batch size = %d", FLAGS.eval_batch_size)
    # As in upstream 1.6.0 to 1.14.0 an argument is missing, and this raises a TypeError.
    eval_input_fn = input_fn_builder(
        input_files=files_in(FLAGS.eval_files_dir),
        batch_size=FLAGS.eval_batch_size,
        max_seq_length=FLAGS.max_seq_length,
        max_predictions_per_seq=FLAGS.max_predictions_per_seq,
        is_training=False,
    )
    result = estimator.evaluate(eval_input_fn, steps=FLAGS.max_eval_steps)
    v1.logging.info("***** Eval results *****")
    with tf.io.gfile.GFile(os.path.join(FLAGS.output_dir, "eval_results.txt"), "w") as file:
        for key in sorted(result):
            v1.logging.info("  %s = %s", key, result[key])
            file.write(f"{key} = {result[key]!s}\n")


if __name__ == "__main__":
    tf.get_logger().propagate = False
    define_flags()
    app.run(main)

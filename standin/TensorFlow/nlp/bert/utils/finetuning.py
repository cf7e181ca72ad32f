"""What the two fine-tuning scripts share: flags, the start of a rank, its share of the data."""

import os
import socket

import tensorflow as tf
from absl import flags
from habana_frameworks.tensorflow import load_habana_module
from TensorFlow.nlp.bert import modeling, optimization
from TensorFlow.nlp.bert.data_preprocessing import tokenization
from TensorFlow.nlp.bert.utils import habana_hooks, ranks, records

FLAGS = flags.FLAGS
v1 = tf.compat.v1


def define_flags(max_seq_length):
    text, number, switch, real = (
        flags.DEFINE_string,
        flags.DEFINE_integer,
        flags.DEFINE_bool,
        flags.DEFINE_float,
    )
    text("bert_config_file", None, "The architecture, as JSON.", required=True)
    text("vocab_file", None, "The vocabulary, a token a line.", required=True)
    text("output_dir", None, "Where everything goes.", required=True)
    text("init_checkpoint", None, "The checkpoint to start from.")
    switch("do_lower_case", True, "Whether the vocabulary is uncased.")
    number("max_seq_length", max_seq_length, "Tokens a record.")
    switch("do_train", False, "Train.")
    switch("do_eval", False, "Evaluate.")
    switch("do_predict", False, "Predict.")
    number("train_batch_size", 32, "Records a rank and step.")
    number("predict_batch_size", 8, "Records a prediction step.")
    real("learning_rate", 5e-5, "The peak; not multiplied by the ranks.")
    real("num_train_epochs", 3.0, "Passes over the training data.")
    real("warmup_proportion", 0.1, "The part of the training until the peak.")
    number("save_checkpoints_steps", 1000, "Steps between checkpoints.")
    number("save_summary_steps", 1, "Steps between summaries.")
    number("iterations_per_loop", 1000, "Without effect.")
    switch("use_tpu", False, "Not in the stand-in.")
    text("tpu_name", None, "Belongs to --use_tpu.")
    text("tpu_zone", None, "Belongs to --use_tpu.")
    text("gcp_project", None, "Belongs to --use_tpu.")
    text("master", None, "Belongs to --use_tpu.")
    number("num_tpu_cores", 8, "Belongs to --use_tpu.")
    switch("cpu_only", False, "Do not load Habana's module; not together with Horovod.")
    switch("use_horovod", False, "Train with the other ranks.")
    switch("horovod_hierarchical_allreduce", False, "Sets HOROVOD_HIERARCHICAL_ALLREDUCE.")
    text("bf16_config_path", None, "Sets TF_BF16_CONVERSION, which only Gaudi heeds.")
    switch("enable_scoped_allocator", False, "Without effect on a CPU.")
    text("profile", "", "Not in the stand-in: the steps to profile.")


def start():
    """Bring up Habana's module and Horovod; return the model's configuration."""
    v1.logging.set_verbosity(v1.logging.INFO)
    if FLAGS.use_tpu or FLAGS.profile:
        raise ValueError("The stand-in knows neither --use_tpu nor --profile.")
    if FLAGS.bf16_config_path is not None:
        os.environ["TF_BF16_CONVERSION"] = FLAGS.bf16_config_path
    if FLAGS.use_horovod:
        if FLAGS.cpu_only:
            raise ValueError("--cpu_only and --use_horovod exclude each other, as in upstream.")
        ranks.start_horovod(FLAGS.horovod_hierarchical_allreduce)
    if not FLAGS.cpu_only:
        load_habana_module()
    for name in ("MULTI_HLS_IPS", "HABANA_INITIAL_WORKSPACE_SIZE_MB", "TF_BF16_CONVERSION"):
        print(f"{socket.gethostname()}: {name} = {os.environ.get(name)}", flush=True)

    tokenization.refuse_wrong_case(FLAGS.do_lower_case, FLAGS.init_checkpoint)
    config = modeling.BertConfig.from_json_file(FLAGS.bert_config_file)
    config.refuse_longer_than_trained(FLAGS.max_seq_length)
    tf.io.gfile.makedirs(FLAGS.output_dir)
    return config


def refuse_without_training():
    """Upstream 1.13.0 counts the training examples even when it did not read any."""
    if not FLAGS.do_train:
        raise TypeError("Without --do_train upstream's script fails, and so does the stand-in.")


def model_dir():
    """The directory of this rank's checkpoints."""
    if ranks.horovod_enabled():
        return os.path.join(FLAGS.output_dir, f"worker_{ranks.rank()}")
    return FLAGS.output_dir


def share(examples):
    """This rank's part: equal parts, the first ranks one more where it does not come out even."""
    part, left = divmod(len(examples), ranks.size())
    first = ranks.rank() * part + min(ranks.rank(), left)
    return examples[first : first + part + (ranks.rank() < left)]


def estimator(model_fn, keep_checkpoint_max):
    return tf.estimator.Estimator(
        model_fn,
        config=tf.estimator.RunConfig(
            model_dir=model_dir(),
            session_config=ranks.session_config(),
            save_checkpoints_steps=FLAGS.save_checkpoints_steps,
            save_summary_steps=FLAGS.save_summary_steps,
            keep_checkpoint_max=keep_checkpoint_max,
        ),
    )


def train_op(loss, num_train_steps):
    """Adam, with the weights of --init_checkpoint to start from."""
    op = optimization.create_optimizer(
        loss,
        FLAGS.learning_rate,
        num_train_steps,
        int(num_train_steps * FLAGS.warmup_proportion),
    )
    start_from_checkpoint()
    return op


def start_from_checkpoint():
    if FLAGS.init_checkpoint:
        taken = modeling.start_from(FLAGS.init_checkpoint, v1.trainable_variables())
        v1.logging.info("%d variables start from %s", len(taken), FLAGS.init_checkpoint)


def train(trained, files, shard, features, num_train_steps):
    """Train on records that all ranks of `shard` (count, index) deal out among themselves."""

    def input_fn():
        dataset = tf.data.TFRecordDataset(files).shard(*shard).repeat().shuffle(100)
        return records.batches(dataset, features, FLAGS.train_batch_size, drop_remainder=True)

    global_batch = FLAGS.train_batch_size * ranks.size()
    v1.logging.info("  Per-worker batch size = %d", FLAGS.train_batch_size)
    v1.logging.info("  Total batch size = %d", global_batch)
    v1.logging.info("  Num steps = %d", num_train_steps)
    hooks = [habana_hooks.PerfLoggingHook(global_batch, "train"), *ranks.broadcast_hooks()]
    trained.train(input_fn, max_steps=num_train_steps, hooks=hooks)


def in_order(file, features, batch_size):
    """An input_fn that reads a file once."""
    return lambda: records.batches(
        tf.data.TFRecordDataset(file), features, batch_size, drop_remainder=False
    )


def encoded(tokenizer, tokens, segments):
    """The three inputs of the model, zero padded to --max_seq_length."""
    padding = [0] * (FLAGS.max_seq_length - len(tokens))
    return {
        "input_ids": tokenizer.ids(tokens) + padding,
        "input_mask": [1] * len(tokens) + padding,
        "segment_ids": segments + padding,
    }


def encoded_features():
    names = ("input_ids", "input_mask", "segment_ids")
    return {name: records.ints(FLAGS.max_seq_length) for name in names}


def run_model(config, training, features):
    return modeling.BertModel(
        config, training, features["input_ids"], features["input_mask"], features["segment_ids"]
    )

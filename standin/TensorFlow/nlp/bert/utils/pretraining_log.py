"""What a pre-training run says about itself while it trains."""

import time

import tensorflow as tf
from dllogger import Verbosity
from TensorFlow.nlp.bert.utils import ranks

FETCHED = ("step_update", "update_step", "total_loss", "learning_rate", "nsp_loss", "mlm_loss")
# Steps after the start and after each checkpoint that do not count for the throughput.
SKIPPED = 6


class LogHook(tf.compat.v1.train.SessionRunHook):
    """Rank 0 logs losses, learning rate and sentences a second every `display_every` steps."""

    def __init__(self, logger, global_batch_size, display_every, save_checkpoints_steps):
        self.logger = logger
        self.global_batch_size = global_batch_size
        self.display_every = display_every
        self.save_checkpoints_steps = save_checkpoints_steps
        self.ran = False
        self.total_time = self.step_time = 0.0
        self.skipped = 0
        self._start_over()

    def _start_over(self):
        self.elapsed = self.losses = 0.0
        self.batches = self.steps = 0

    def after_create_session(self, session, coord):
        self.ran = True
        self.first_step = session.run(tf.compat.v1.train.get_global_step())

    def before_run(self, run_context):
        if ranks.rank() != 0:
            return None
        self.began = time.monotonic()
        return tf.compat.v1.train.SessionRunArgs([f"{name}:0" for name in FETCHED])

    def after_run(self, run_context, run_values):
        if ranks.rank() != 0:
            return
        took = time.monotonic() - self.began
        values = dict(zip(FETCHED, run_values.results))
        self.elapsed += took
        self.step_time += took
        self.losses += values["total_loss"]
        self.batches += 1
        if not values["update_step"]:
            return
        self.steps += 1
        step = int(values["step_update"])
        if (step - self.first_step) % self.save_checkpoints_steps < SKIPPED:
            print("Skipping time record for ", step, " due to checkpoint-saving/warmup overhead")
            self.skipped += 1
        else:
            self.total_time += self.step_time
        self.step_time = 0.0
        # Upstream counts from one here, so that the first update is iteration 2.
        shown = step + 1
        if shown % self.display_every == 0:
            self._log(shown, values)
            self._start_over()

    def _log(self, step, values):
        data = {
            "throughput_train": float(self.global_batch_size * self.steps / self.elapsed),
            "mlm_loss": float(values["mlm_loss"]),
            "nsp_loss": float(values["nsp_loss"]),
            "total_loss": float(values["total_loss"]),
            "avg_loss_step": float(self.losses / self.batches),
            "learning_rate": str(values["learning_rate"]),
        }
        self.logger.log(step=step, data=data, verbosity=Verbosity.DEFAULT)


def log_throughput(logger, hook, num_train_steps, global_batch_size, elapsed):
    """The closing lines of a training run, by rank 0. Times are in seconds."""
    info = tf.compat.v1.logging.info
    sentences = num_train_steps * global_batch_size
    steady = (num_train_steps - hook.skipped) * global_batch_size
    rate = steady / hook.total_time if hook.total_time else float("nan")
    info("-----------------------------")
    info("Total Training Time = %0.2f for Sentences = %d", elapsed, sentences)
    info("Total Training Time W/O Overhead = %0.2f for Sentences = %d", hook.total_time, steady)
    info("Throughput Average (sentences/sec) with overhead = %0.2f", sentences / elapsed)
    if hook.total_time:
        info("Throughput Average (sentences/sec) = %0.2f", rate)
    else:
        info(f"Throughput Average W/O Overhead is not logged when num_train_steps < {SKIPPED}")
    logger.log(step=(), data={"throughput_train": rate}, verbosity=Verbosity.DEFAULT)
    info("-----------------------------")

"""How fast the fine-tuning scripts go."""

import time

import numpy as np
import tensorflow as tf

v1 = tf.compat.v1


class PerfLoggingHook(v1.train.SessionRunHook):
    """Logs the examples a second at the end; the first step is also left out, as it compiles."""

    def __init__(self, batch_size, mode):
        self.batch_size = batch_size
        self.mode = mode
        self.times = []

    def begin(self):
        self.began = time.monotonic()

    def before_run(self, run_context):
        self.step_began = time.monotonic()

    def after_run(self, run_context, run_values):
        self.times.append(time.monotonic() - self.step_began)

    def end(self, session):
        rates = self.batch_size / np.array(self.times)
        info = v1.logging.info
        info("***** %s statistics *****", self.mode)
        info("  Time = %0.2f [s]", time.monotonic() - self.began)
        if not self.times:
            return
        info("  First iteration time = %0.2f ", self.times[0])
        info("  Total batch size = %d", self.batch_size)
        info("  Avg total throughput = %0.2f [examples/sec]", rates.mean())
        if len(rates) > 1:
            info("  Avg total (first ommited) = %0.2f [examples/sec]", rates[1:].mean())

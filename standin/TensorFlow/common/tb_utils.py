"""What TensorBoard shows besides the loss."""

import tensorflow as tf

v1 = tf.compat.v1


class ExamplesPerSecondEstimatorHook(v1.train.StepCounterHook):
    """Writes examples/sec and global_examples/sec for each step."""

    def __init__(self, batch_size, global_batch_size, output_dir):
        super().__init__(every_n_steps=1, output_dir=output_dir)
        self.sizes = {"examples/sec": batch_size, "global_examples/sec": global_batch_size}

    def _log_and_record(self, elapsed_steps, elapsed_time, global_step):
        if self._summary_writer is None:
            return
        for tag, size in self.sizes.items():
            value = v1.Summary.Value(tag=tag, simple_value=size * elapsed_steps / elapsed_time)
            self._summary_writer.add_summary(v1.Summary(value=[value]), global_step)

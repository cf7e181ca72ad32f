"""Files of records: TFRecord frames, tf.train.Example messages, and what is wrong with them."""

"""Checkpoints on disk, read without TensorFlow."""

"""Train BERT with TensorFlow on Habana Gaudi without editing a file by hand."""

__version__ = "0.1.0"

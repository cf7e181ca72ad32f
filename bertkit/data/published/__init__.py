"""Data that others publish, made ready for training: MRPC, SQuAD, pretrained models, books."""

"""Small data for trying things: text, MRPC and SQuAD made from a sample of Wikipedia."""

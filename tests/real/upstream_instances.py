"""``upstream_instances.py REPO SEQ_LEN PASSES``: what upstream makes of single documents.

Reads documents as JSON on stdin, each a list of sentences, each a list of tokens; each is gone
through PASSES times by upstream's own function. Writes for each document and pass the instances:
tokens of A, tokens of B, and 1 if B is from another document.
"""

from __future__ import annotations

import contextlib
import json
import random
import sys
from pathlib import Path


def main() -> None:
    bert = Path(sys.argv[1]) / "TensorFlow/nlp/bert"
    seq_len, passes = map(int, sys.argv[2:4])
    sys.path[:0] = [sys.argv[1], str(bert), str(bert / "data_preprocessing")]
    with contextlib.redirect_stdout(sys.stderr):
        from create_pretraining_data import create_instances_from_document
    documents = json.load(sys.stdin)
    words = sorted({token for document in documents for sentence in document for token in sentence})
    random_numbers = random.Random(1)
    made = []
    for index in range(len(documents)):
        made.append([])
        for _ in range(passes):
            instances = create_instances_from_document(
                documents, index, seq_len, 0.1, 0.15, 20, words, random_numbers
            )
            made[-1].append([
                (
                    len(each.tokens) - sum(each.segment_ids) - 2,
                    sum(each.segment_ids) - 1,
                    int(each.is_random_next),
                )
                for each in instances
            ])  # fmt: skip
    json.dump(made, sys.stdout)


if __name__ == "__main__":
    main()

"""Tiny MRPC and SQuAD files and a vocabulary that spells every lower-case word."""

from __future__ import annotations

import json
import random
import string
from pathlib import Path
from typing import List

NOUNS = ["cat", "dog", "fox", "owl", "hen", "cow"]


def write_vocab(path: Path) -> Path:
    letters = string.ascii_lowercase + string.digits
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *NOUNS, *string.punctuation]
    tokens += [*letters, *(f"##{letter}" for letter in letters)]
    path.write_text("\n".join(tokens) + "\n", encoding="utf-8")
    return path


def write_mrpc(directory: Path, count: int) -> Path:
    """Pairs that are paraphrases if they begin with the same word."""
    directory.mkdir()
    rng = random.Random(1)
    for name in ("train", "dev", "test"):
        lines = ["Quality\t#1 ID\t#2 ID\t#1 String\t#2 String"]
        for number in range(count):
            first, second = rng.choice(NOUNS), rng.choice(NOUNS)
            label = number if name == "test" else int(first == second)
            lines.append(f'{label}\t1\t2\t{first} "sat" here\t{second} sat there')
        text = "\n".join(lines) + "\n"
        (directory / f"{name}.tsv").write_text(text, encoding="utf-8")
    return directory


def write_squad(path: Path, count: int) -> Path:
    """Paragraphs longer than a window, each with one question."""
    rng = random.Random(2)
    paragraphs = []
    for number in range(count):
        words: List[str] = [rng.choice(NOUNS) for _ in range(40)]
        place = rng.randrange(40)
        words[place] = "The Émile"
        context = ", ".join(words) + "."
        answer = {"text": "Émile", "answer_start": context.index("Émile")}
        paragraphs.append(
            {
                "context": context,
                "qas": [{"id": f"q{number}", "question": "who was it?", "answers": [answer]}],
            }
        )
    data = {"version": "1.1", "data": [{"title": "animals", "paragraphs": paragraphs}]}
    path.write_text(json.dumps(data), encoding="utf-8")
    return path

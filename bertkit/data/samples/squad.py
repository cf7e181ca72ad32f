"""A small question set in the form of SQuAD v1.1, made from running text by plain rules.

A question is a sentence of the passage with a name or a year left out; the answer is what was left
out. It shows that training works; its scores say nothing about SQuAD's.
"""

from __future__ import annotations

import hashlib
import random
import re
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

from bertkit.data.chance import below
from bertkit.files import write_atomic, write_json

SIZES = {"train": 400, "dev": 100}
FILES = {"train": "train-v1.1.json", "dev": "dev-v1.1.json"}

README = """\
This is not the Stanford Question Answering Dataset.

These files have the form of SQuAD v1.1, but `bertkit data sample` made them from Wikipedia text by
a rule: a question is a sentence of the passage with a name or a year left out. They show that
fine-tuning works. Scores on them say nothing about SQuAD.

The text is from Wikipedia, under CC BY-SA.
"""

_ANSWER = re.compile(
    r"(?<=[a-z,] )(?:(?:1\d|20)\d\d\b(?!,\d)|[A-Z][a-z]{2,}(?: [A-Z][a-z]+){1,2}\b)"
)
_QUESTION = "Which words are missing: {}"
_BLANK = "_____"
_PASSAGE_SENTENCES = 5
_QUESTIONS_OF_PASSAGE = 3


def passage_questions(sentences: Sequence[str], name: str) -> Optional[Dict[str, Any]]:
    """One paragraph of SQuAD's JSON with up to three questions; none if no rule fits.

    Args:
        sentences: the passage.
        name: makes the questions' ids different from all others.
    """
    context = " ".join(sentences)
    questions: List[Dict[str, Any]] = []
    start_of_sentence = 0
    for sentence in sentences:
        match = _ANSWER.search(sentence)
        # Once only: else another place would be as good an answer as the one that is counted.
        if match and context.count(match.group()) == 1 and 6 <= len(sentence.split()) <= 40:
            cloze = sentence[: match.start()] + _BLANK + sentence[match.end() :]
            identifier = hashlib.sha256(f"{name}\0{cloze}".encode()).hexdigest()[:24]
            answer = {
                "answer_start": start_of_sentence + match.start(),
                "text": match.group(),
            }
            questions.append(
                {"answers": [answer], "question": _QUESTION.format(cloze), "id": identifier}
            )
        start_of_sentence += len(sentence) + 1
    if not questions:
        return None
    return {"context": context, "qas": questions[:_QUESTIONS_OF_PASSAGE]}


def questions(
    documents: Sequence[List[str]], count: int, name: str, rng: random.Random
) -> Dict[str, Any]:
    """The JSON of one file with about *count* questions; fewer if the text lacks."""
    places = [
        (d, s)
        for d, document in enumerate(documents)
        for s in range(0, len(document), _PASSAGE_SENTENCES)
    ]
    found = 0
    paragraphs: Dict[int, List[Dict[str, Any]]] = {}
    while places and found < count:
        pick = below(rng, len(places))
        places[pick], places[-1] = places[-1], places[pick]
        document, start = places.pop()
        sentences = documents[document][start : start + _PASSAGE_SENTENCES]
        paragraph = passage_questions(sentences, f"{name} {document} {start}")
        if paragraph is not None:
            paragraph["qas"] = paragraph["qas"][: count - found]
            found += len(paragraph["qas"])
            paragraphs.setdefault(document, []).append(paragraph)
    articles = [
        {"title": f"sample_{name}_{document}", "paragraphs": paragraphs[document]}
        for document in sorted(paragraphs)
    ]
    return {"data": articles, "version": "1.1"}


def write_squad(
    directory: Path, documents: Dict[str, Sequence[List[str]]], rng: random.Random
) -> Dict[str, int]:
    """Write SQuAD's two files and a README; gives the number of questions of each.

    Args:
        directory: made.
        documents: ``training`` and ``test``: sentences of each article, for train and dev.
        rng: decides everything that is random.
    """
    directory.mkdir()
    counts = {}
    for name, split in (("train", "training"), ("dev", "test")):
        content = questions(documents[split], SIZES[name], name, rng)
        write_json(directory / FILES[name], content)
        counts[name] = sum(len(p["qas"]) for a in content["data"] for p in a["paragraphs"])
    write_atomic(directory / "README.txt", README)
    return counts

"""SQuAD's two measures, exact match and F1 over words, in percent."""

import collections
import re
import string
import sys

PUNCTUATION = str.maketrans("", "", string.punctuation)


def words(text):
    """Lower case, without punctuation and articles."""
    return re.sub(r"\b(a|an|the)\b", " ", text.lower().translate(PUNCTUATION)).split()


def f1(predicted, true):
    predicted, true = words(predicted), words(true)
    same = sum((collections.Counter(predicted) & collections.Counter(true)).values())
    return 2.0 * same / (len(predicted) + len(true)) if same else 0.0


def evaluate(articles, answers):
    """Score `answers` (question id -> text) over SQuAD's list of articles."""
    exact = overlap = total = 0.0
    for paragraph in (p for article in articles for p in article["paragraphs"]):
        for asked in paragraph["qas"]:
            total += 1
            if asked["id"] not in answers:
                print(f"Unanswered question {asked['id']} will receive score 0.", file=sys.stderr)
                continue
            given = answers[asked["id"]]
            truths = [answer["text"] for answer in asked["answers"]]
            exact += max(words(given) == words(truth) for truth in truths)
            overlap += max(f1(given, truth) for truth in truths)
    return {"exact_match": 100.0 * exact / total, "f1": 100.0 * overlap / total}

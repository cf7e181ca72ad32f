"""A small paraphrase set in the form of GLUE's MRPC, made from running text by plain rules.

A paraphrase is the same sentence with words exchanged for synonyms, its leading adverbial moved to
its end or a remark in parentheses left out. A pair that is none has two neighbouring sentences of
one article. It shows that training works; its scores say nothing about MRPC's.
"""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence

from bertkit.data.chance import below, shuffle
from bertkit.files import write_atomic

SIZES = {"train": 400, "dev": 100, "test": 100}

README = """\
This is not the Microsoft Research Paraphrase Corpus.

These files have its form (GLUE's train.tsv, dev.tsv and test.tsv), but `bertkit data sample` made
them from Wikipedia text by rules: a paraphrase (Quality 1) is the same sentence with synonyms, a
phrase moved or a remark left out; Quality 0 is two neighbouring sentences. They show that
fine-tuning works. Scores on them say nothing about MRPC.

The text is from Wikipedia, under CC BY-SA.
"""

_SYNONYMS = {
    "also": "in addition", "although": "though", "approximately": "about", "area": "region",
    "because": "since", "began": "started", "big": "large", "built": "constructed",
    "called": "named", "city": "town", "common": "widespread", "considered": "regarded as",
    "country": "nation", "created": "made", "different": "distinct", "during": "in the course of",
    "especially": "in particular", "famous": "well known", "first": "earliest",
    "found": "discovered", "frequently": "often", "however": "nevertheless", "huge": "enormous",
    "important": "significant", "large": "big", "later": "afterwards", "main": "principal",
    "major": "important", "many": "numerous", "modern": "contemporary", "near": "close to",
    "often": "frequently", "part": "portion", "people": "persons", "several": "a number of",
    "showed": "demonstrated", "small": "little", "such as": "for example", "the most": "most",
    "usually": "generally", "various": "diverse", "war": "armed conflict", "while": "whereas",
    "work": "labour", "world": "globe", "years": "calendar years",
}  # fmt: skip
_SYNONYM = re.compile(r"\b(" + "|".join(sorted(_SYNONYMS, key=len, reverse=True)) + r")\b")
_LEADING = re.compile(r"(In|During|After|Before|By|On|At|Since|For|From) ([^,.;:]{3,40}), (.+)\.")
_REMARK = re.compile(r" \([^()]*\)")
_HEADER = "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String"
_TEST_HEADER = "index\t#1 ID\t#2 ID\t#1 String\t#2 String"


class Pair(NamedTuple):
    """Two sentences; quality 1: they say the same."""

    quality: int
    first: str
    second: str


def paraphrase(sentence: str) -> Optional[str]:
    """*sentence* said otherwise, or none if no rule fits."""
    changed = _REMARK.sub("", sentence)
    moved = _LEADING.fullmatch(changed)
    if moved:
        preposition, phrase, rest = moved.groups()
        changed = f"{rest[0].upper()}{rest[1:]} {preposition.lower()} {phrase}."
    changed = _SYNONYM.sub(lambda match: _SYNONYMS[match.group()], changed, count=3)
    return changed if changed != sentence else None


def pairs(documents: Sequence[List[str]], count: int, rng: random.Random) -> List[Pair]:
    """*count* pairs of articles' sentences, in turn a paraphrase and none; fewer if text lacks."""
    found: List[Pair] = []
    used = set()
    places = [(d, s) for d, document in enumerate(documents) for s in range(len(document) - 1)]
    while places and len(found) < count:
        pick = below(rng, len(places))
        places[pick], places[-1] = places[-1], places[pick]
        document, number = places.pop()
        first, following = documents[document][number : number + 2]
        wanted = 1 - len(found) % 2
        second = paraphrase(first) if wanted else following
        if not second or first in used or not (_fit(first) and _fit(second)) or first == second:
            continue
        used.add(first)
        found.append(Pair(wanted, *((first, second) if rng.random() < 0.5 else (second, first))))
    return found


def write_mrpc(
    directory: Path, documents: Dict[str, Sequence[List[str]]], rng: random.Random
) -> Dict[str, int]:
    """Write GLUE's three files and a README; gives the number of pairs of each.

    Args:
        directory: made.
        documents: ``training`` and ``test``: sentences of each article; train.tsv is from the one,
            dev.tsv and test.tsv from the other.
        rng: decides everything that is random.
    """
    directory.mkdir()
    held_out = pairs(documents["test"], SIZES["dev"] + SIZES["test"], rng)
    half = (len(held_out) + 1) // 2
    sets = {
        "train": pairs(documents["training"], SIZES["train"], rng),
        "dev": held_out[:half],
        "test": held_out[half:],
    }
    identifier = 1000
    for name, members in sets.items():
        shuffle(members, rng)
        lines = [_TEST_HEADER if name == "test" else _HEADER]
        for index, pair in enumerate(members):
            first_column = index if name == "test" else pair.quality
            lines.append(
                f"{first_column}\t{identifier}\t{identifier + 1}\t{pair.first}\t{pair.second}"
            )
            identifier += 2
        write_atomic(directory / f"{name}.tsv", "\n".join(lines) + "\n")
    write_atomic(directory / "README.txt", README)
    return {name: len(members) for name, members in sets.items()}


def _fit(sentence: str) -> bool:
    return 8 <= len(sentence.split()) <= 35 and "\t" not in sentence

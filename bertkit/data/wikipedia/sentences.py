"""Sentences of English prose, by syntok (rules for abbreviations, initials, numbers, quotes)."""

from __future__ import annotations

from typing import List


def sentences_of(text: str) -> List[str]:
    """The sentences of *text* in order, as they stand there, none of them empty."""
    from syntok import segmenter

    starts = [
        sentence[0].offset
        for paragraph in segmenter.process(text)
        for sentence in paragraph
        if sentence
    ]
    ends = [*starts[1:], len(text)]
    found = (text[start:end].strip() for start, end in zip(starts, ends))
    return [sentence for sentence in found if any(map(str.isalnum, sentence))]

"""WordPiece tokens of a text, each with the place in the text that it came from."""

import os
import unicodedata
from typing import NamedTuple

LONGEST_WORD = 200


class Piece(NamedTuple):
    text: str  # as in the vocabulary, so "##s" for the end of a word
    start: int  # characters of the original text: text[start:end]
    end: int


class FullTokenizer:
    def __init__(self, vocab_file, do_lower_case=True):
        with open(vocab_file, encoding="utf-8") as file:
            self.vocab = {line.rstrip("\n"): number for number, line in enumerate(file)}
        missing = [t for t in ("[PAD]", "[UNK]", "[CLS]", "[SEP]") if t not in self.vocab]
        if missing:
            raise ValueError(f"{vocab_file} lacks {', '.join(missing)}")
        self.lower = do_lower_case

    def pieces(self, text):
        """The pieces of a text."""
        return [piece for word in self._words(text) for piece in self._split(word)]

    def tokenize(self, text):
        return [piece.text for piece in self.pieces(text)]

    def ids(self, tokens):
        unknown = self.vocab["[UNK]"]
        return [self.vocab.get(token, unknown) for token in tokens]

    def _words(self, text):
        """Words as lists of (normalized character, its place): cut at spaces and punctuation."""
        word = []
        for place, char in enumerate(text):
            alone = is_punctuation(char) or is_ideograph(char)
            if char.isspace() or alone:
                if word:
                    yield word
                word = []
            if alone:
                yield [(char, place)]
            elif not char.isspace() and unicodedata.category(char)[0] != "C":
                word += [(c, place) for c in self._normalize(char)]
        if word:
            yield word

    def _normalize(self, char):
        if not self.lower:
            return char
        parts = unicodedata.normalize("NFD", char.lower())
        return [part for part in parts if unicodedata.category(part) != "Mn"]

    def _split(self, word):
        """The longest known beginnings of a word, or one [UNK] for all of it."""
        text = "".join(char for char, _ in word)
        found = []
        start = 0
        while start < len(text) <= LONGEST_WORD:
            for end in range(len(text), start, -1):
                token = ("##" if start else "") + text[start:end]
                if token in self.vocab:
                    break
            else:
                break
            found.append(Piece(token, word[start][1], word[end - 1][1] + 1))
            start = end
        if start < len(text):
            return [Piece("[UNK]", word[0][1], word[-1][1] + 1)]
        return found


def is_punctuation(char):
    """ASCII that is neither letter, digit nor space, and what Unicode calls punctuation."""
    if char.isascii():
        return char.isprintable() and not char.isalnum() and not char.isspace()
    return unicodedata.category(char).startswith("P")


def is_ideograph(char):
    return "CJK UNIFIED IDEOGRAPH" in unicodedata.name(char, "") or "\uf900" <= char <= "\ufaff"


def refuse_wrong_case(do_lower_case, init_checkpoint):
    """Google's checkpoints say in their directory's name whether they are cased."""
    model = os.path.basename(os.path.dirname(init_checkpoint or ""))
    if model.startswith(("uncased_L-", "cased_L-")) and do_lower_case != model.startswith("un"):
        raise ValueError(f"--do_lower_case={do_lower_case} does not fit the checkpoint {model}")

"""A small model of NLTK's that finds the ends of sentences, trained here by NLTK itself.

NLTK's own comes from a network; this one lies in the same places in the same forms.
"""

from __future__ import annotations

import pickle
from pathlib import Path

# More makes a better model, in seconds that a test need not take.
CHARACTERS = 200_000


def write_punkt(text: str, directory: Path) -> None:
    """Train on *text*; *directory* is then what NLTK_DATA may name."""
    import nltk.data
    from nltk.tokenize import punkt

    trainer = punkt.PunktTrainer(text[:CHARACTERS])
    place = directory / "tokenizers" / "punkt_tab" / "english"
    place.mkdir(parents=True, mode=0o700)
    before = list(nltk.data.path)
    nltk.data.path.append(str(directory))  # it writes below such a directory only
    try:
        punkt.save_punkt_params(trainer.get_params(), str(place))
    finally:
        nltk.data.path[:] = before
    old = directory / "tokenizers" / "punkt"  # until 3.8
    for name in (old / "english.pickle", old / "PY3" / "english.pickle"):
        name.parent.mkdir(parents=True, exist_ok=True)
        name.write_bytes(pickle.dumps(punkt.PunktSentenceTokenizer(trainer.get_params())))

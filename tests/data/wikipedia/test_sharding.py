"""Articles become sentences in files: all of them, once, the same for any number of workers."""

import resource

import pytest

from bertkit.data.layout import DataLayout
from bertkit.data.wikipedia.sharding import CorpusShards, read_documents, write_shards
from bertkit.errors import DataDamaged, EnvironmentUnfit

from ..conftest import bytes_below
from ..dumps import prose

SHARDS = 2


def sharded(directory, articles, workers=1, seed=1, files=SHARDS):
    """The counts, and where the shards are."""
    directory.mkdir()
    formatted = directory / "articles.txt"
    formatted.write_bytes(b"".join(article + b"\n\n" for article in articles))
    shape = CorpusShards(DataLayout(directory), files, 0.2, seed)
    return write_shards(formatted, directory / "shards", shape, workers), directory / "shards"


@pytest.fixture(scope="module")
def articles():
    """Some 600 kB: three stretches."""
    return [prose(number, 10 + number % 30).encode() for number in range(250)]


def test_every_article_is_in_one_file_and_another_seed_deals_otherwise(tmp_path, articles):
    counts, shards = sharded(tmp_path / "a", articles)
    documents = [
        document for path in sorted(shards.rglob("*.txt")) for document in read_documents(path)
    ]
    assert sorted(" ".join(document).encode() for document in documents) == sorted(articles)
    assert counts == {
        "sentences": sum(map(len, documents)), "articles": 250, "files": 2 * SHARDS,
        "without_sentences": 0,
    }  # fmt: skip
    _, others = sharded(tmp_path / "b", articles, seed=2)
    assert bytes_below(others) != bytes_below(shards)


def test_the_bytes_do_not_depend_on_the_number_of_workers(tmp_path, articles):
    made = [bytes_below(sharded(tmp_path / str(n), articles, workers=n)[1]) for n in (1, 2, 5)]
    assert made[0] == made[1] == made[2]


def test_more_files_than_a_shell_lets_be_open(tmp_path, articles):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, hard))
    try:
        counts, _ = sharded(tmp_path / "a", articles, workers=2, files=50)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert counts["files"] == 100


def test_more_files_than_an_administrator_lets_be_open_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 1024))
    with pytest.raises(EnvironmentUnfit, match="2000 files of text cannot be open") as caught:
        sharded(tmp_path / "a", [b"One sentence."], files=1000)
    assert "--shards" in caught.value.next_step


def test_articles_without_a_sentence_are_counted(tmp_path, articles):
    counts, _ = sharded(tmp_path / "a", [*articles[:20], b"...", b"- - -"])
    assert (counts["articles"], counts["without_sentences"]) == (20, 2)


@pytest.mark.parametrize(
    ("text", "words", "help"),
    [
        (b"caf\xe9 latin", "are not UTF-8", "--until format"),
        (b"One sentence.", "of 4 files of text would be empty", "--shards"),
    ],
)
def test_too_little_text_and_bytes_that_are_none_are_named(tmp_path, text, words, help):
    with pytest.raises(DataDamaged, match=words) as caught:
        sharded(tmp_path / "a", [text] * 3)
    assert "articles.txt" in str(caught.value)
    assert help in caught.value.next_step

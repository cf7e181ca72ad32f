"""The stages from text to records give the same bytes however the work is shared out."""

import pytest

from bertkit.data.corpus import (
    CorpusShards,
    RecordSettings,
    read_documents,
    write_one_article_per_line,
    write_records_of_shards,
    write_shards,
)
from bertkit.data.layout import SPLITS, DataLayout
from bertkit.data.tfrecord import read_records
from bertkit.errors import DataDamaged

from .conftest import bytes_below


@pytest.fixture
def layout(tmp_path, sample):
    """A corpus of forty short articles."""
    small = DataLayout(tmp_path / "data")
    lines = DataLayout(sample).formatted.read_text(encoding="utf-8").split("\n\n")
    small.formatted.parent.mkdir(parents=True)
    small.formatted.write_text("".join(f"{line[:2500]}.\n\n" for line in lines[:40]))
    small.vocab.parent.mkdir(parents=True)
    small.vocab.write_bytes(DataLayout(sample).vocab.read_bytes())
    return small


def test_the_number_of_processes_changes_no_byte(layout):
    results = []
    for workers in (1, 2, 5):
        shape = CorpusShards(layout, 3, 0.3, 1)
        place = layout.root / f"with {workers}"
        write_shards(layout.formatted, place / "text", shape, workers)
        if workers == 1:
            layout.sharded.parent.mkdir()
            write_shards(layout.formatted, layout.sharded, shape, workers)
        settings = RecordSettings(64, 10, 2, 1)
        write_records_of_shards(layout, place / "records", 3, settings, workers)
        results.append(bytes_below(place))
    assert len(results[0]) == 12
    assert all(results[0].values())
    assert results[0] == results[1] == results[2]


def test_every_article_is_in_one_shard_with_all_its_sentences(layout):
    counts = write_shards(layout.formatted, layout.sharded, CorpusShards(layout, 3, 0.3, 1), 1)
    documents = [
        document
        for split in SPLITS
        for number in range(3)
        for document in read_documents(layout.sharded / layout.shard_name(split, number))
    ]
    assert counts == {
        "sentences": sum(map(len, documents)), "articles": len(documents), "files": 6,
    }  # fmt: skip
    lines = layout.formatted.read_text(encoding="utf-8").split("\n\n")[:-1]
    assert sorted(map(letters_of, map("".join, documents))) == sorted(map(letters_of, lines))


def letters_of(text):
    return "".join(filter(str.isalnum, text))


def test_the_counts_are_those_of_the_files(layout):
    write_shards(layout.formatted, layout.sharded, CorpusShards(layout, 3, 0.3, 1), 1)
    place = layout.root / "records"
    counts = write_records_of_shards(layout, place, 3, RecordSettings(64, 10, 1, 1), 1)
    there = {
        split: sum(1 for path in (place / split).iterdir() for _ in read_records(path))
        for split in SPLITS
    }
    assert counts == {
        "records": sum(there.values()), "training_records": there["training"],
        "test_records": there["test"], "files": 6,
    }  # fmt: skip


def test_more_files_than_articles_are_refused(layout):
    with pytest.raises(DataDamaged, match="would be empty") as caught:
        write_shards(layout.formatted, layout.sharded, CorpusShards(layout, 30, 0.3, 1), 1)
    assert "--shards" in str(caught.value)


def test_a_dump_without_articles_is_an_error_and_not_an_empty_file(tmp_path):
    import bz2

    (tmp_path / "dump.bz2").write_bytes(bz2.compress(b"<mediawiki></mediawiki>"))
    with pytest.raises(DataDamaged, match="no article"):
        write_one_article_per_line(tmp_path / "dump.bz2", tmp_path / "out.txt")

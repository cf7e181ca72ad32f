"""The stages from text to records give the same bytes however the work is shared out."""

import pytest

from bertkit.data.instances.stage import RecordSettings, Vocabulary, records_stage
from bertkit.data.layout import SPLITS, DataLayout
from bertkit.data.records.tfrecord import read_records
from bertkit.data.stages.manifest import Manifest, carry_out
from bertkit.data.stages.parts import carry_out_parts
from bertkit.data.wikipedia.sharding import CorpusShards, shard_stage
from bertkit.files import sha256_of

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


def made(layout, workers, *lengths):
    """The manifests of records that are made of the layout's articles."""
    articles = Manifest("articles", {}, {}, {}, {"": {"sha256": sha256_of(layout.formatted)}})
    text, _ = carry_out(shard_stage(CorpusShards(layout, 3, 0.3, 1), articles, workers), layout)
    settings = [RecordSettings(length, 10, 2, 1) for length in lengths]
    vocabulary = Vocabulary(layout.vocab, sha256_of(layout.vocab))
    carried = carry_out_parts(records_stage(layout, text, vocabulary, settings), layout, workers)
    return carried.manifests


def test_the_number_of_processes_changes_no_byte(layout):
    results = []
    for workers in (1, 2, 5):
        place = DataLayout(layout.root / f"with {workers}")
        place.formatted.parent.mkdir(parents=True)
        place.formatted.write_bytes(layout.formatted.read_bytes())
        place.vocab.parent.mkdir(parents=True)
        place.vocab.write_bytes(layout.vocab.read_bytes())
        made(place, workers, 64)
        results.append(bytes_below(place.root))
    assert sum("tfrecord" in name for name in results[0]) == 7  # six files and a manifest
    assert all(results[0].values())
    assert results[0] == results[1] == results[2]


def test_the_counts_are_those_of_the_files(layout):
    for manifest, length in zip(made(layout, 1, 64, 32), (64, 32)):
        there = {
            split: sum(
                1
                for path in (layout.tfrecord(length) / split).iterdir()
                for _ in read_records(path)
            )
            for split in SPLITS
        }
        assert manifest.counts == {
            "records": sum(there.values()), "training_records": there["training"],
            "test_records": there["test"], "files": 6,
        }  # fmt: skip

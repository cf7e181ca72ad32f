"""A sample is whole, the same everywhere, and goes on after a kill."""

import hashlib
import json
import random
import shutil
import signal
import subprocess
import sys
import threading

import pytest

from bertkit.data.layout import PREDICTIONS, DataLayout
from bertkit.data.records.tfrecord import decode_example, read_records
from bertkit.data.samples.sample import make_sample
from bertkit.data.stages.manifest import read_manifest
from bertkit.errors import BertkitError

from ..conftest import bytes_below


def command(root, *options):
    return [sys.executable, "-m", "bertkit", "data", "sample", "--data", str(root), *options]


def test_there_are_enough_records_for_eight_ranks(sample):
    layout = DataLayout(sample)
    for seq_len, least in ((128, 1000), (512, 250)):
        training = sorted(layout.training_records(seq_len).iterdir())
        test = sorted(layout.test_records(seq_len).iterdir())
        assert len(training) == len(test) == 8
        for path in training:
            assert sum(1 for _ in read_records(path)) >= least
        for path in test:
            assert sum(1 for _ in read_records(path)) >= 8


def test_nothing_but_records_lies_where_upstream_reads_every_file(sample):
    layout = DataLayout(sample)
    for seq_len in PREDICTIONS:
        for split, directory in (
            ("training", layout.training_records(seq_len)),
            ("test", layout.test_records(seq_len)),
        ):
            names = {f"{split}/{path.name}" for path in directory.iterdir()}
            assert names == {layout.record_name(split, number) for number in range(8)}


def test_the_records_numbers_are_those_of_the_rules(sample):
    predicted = masked = tokens = random_next = records = 0
    for path in DataLayout(sample).training_records(128).iterdir():
        for content in read_records(path):
            example = decode_example(content)
            used = int(sum(example["masked_lm_weights"]))
            predicted += used
            masked += sum(
                example["input_ids"][int(position)] == 103
                for position in example["masked_lm_positions"][:used]
            )
            tokens += int(sum(example["input_mask"]))
            random_next += example["next_sentence_labels"][0]
            records += 1
    assert 0.145 < predicted / tokens < 0.155
    assert 0.79 < masked / predicted < 0.81
    assert 0.5 < random_next / records < 0.6  # chunks of one sentence have no true next


def test_sentences_stand_one_a_line_and_articles_are_parted_by_an_empty_one(sample):
    layout = DataLayout(sample)
    text = (layout.sharded / layout.shard_name("training", 0)).read_text(encoding="utf-8")
    assert text.endswith("\n\n")
    assert "\n\n\n" not in text
    articles = text[:-2].split("\n\n")
    assert len(articles) > 1
    assert max(len(article.split("\n")) for article in articles) > 20


def test_the_bytes_are_the_same_on_every_python_and_with_these_libraries(sample):
    """If only this fails, a library splits sentences or words in another way than it did."""
    layout = DataLayout(sample)
    stages = [layout.formatted, layout.sharded, *map(layout.tfrecord, PREDICTIONS), layout.mrpc,
              layout.squad]  # fmt: skip
    found = [read_manifest(layout.manifest(stage)).fingerprint[:8] for stage in stages]
    assert found == ["d7845270", "40887b6d", "8534b10e", "b247d5ff", "6f3b8190", "873bc36e"]


def test_another_seed_needs_other_records_of_the_same_articles(sample):
    stages = {done.stage: done.state for done in make_sample(sample, seed=7, dry_run=True)}
    assert stages == {
        "vocabulary": "was there", "extracted": "was there", "articles": "was there",
        "sentences": "would be made",
        "records 128": "would be made", "records 512": "would be made",
        "MRPC": "would be made", "SQuAD": "would be made",
    }  # fmt: skip


def test_a_second_run_changes_nothing(sample):
    before = {path: path.stat().st_mtime_ns for path in sample.rglob("*") if path.is_file()}
    assert {done.state for done in make_sample(sample)} == {"was there"}
    lock = DataLayout(sample).lock
    assert before == {
        path: before[path] if path == lock else path.stat().st_mtime_ns
        for path in sample.rglob("*")
        if path.is_file()
    }


def test_a_dry_run_makes_nothing(tmp_path):
    root = tmp_path / "data"
    assert {done.state for done in make_sample(root, dry_run=True)} == {"would be made"}
    assert not root.exists()


def test_a_dry_run_tells_what_is_damaged(sample, tmp_path):
    root = tmp_path / "data"
    shutil.copytree(str(sample), str(root))
    layout = DataLayout(root)
    (layout.tfrecord(512) / layout.record_name("test", 1)).write_bytes(b"damaged")
    states = {done.stage: done.state for done in make_sample(root, dry_run=True)}
    assert [stage for stage, state in states.items() if state != "was there"] == [
        "records 128", "records 512",  # made together, from one tokenization
    ]  # fmt: skip
    make_sample(root)
    assert bytes_below(root) == bytes_below(sample)


def test_a_run_that_is_killed_again_and_again_ends_with_the_same_bytes(sample, tmp_path):
    root, chance, kills = tmp_path / "data", random.Random(), 0
    whole = bytes_below(sample)
    while True:
        process = subprocess.Popen(command(root, "-q"), stdout=subprocess.DEVNULL)
        timer = threading.Timer(chance.uniform(0.2, 2.5), process.kill)
        if kills < 4:
            timer.start()
        code = process.wait()
        timer.cancel()
        if code == 0:
            break
        assert code == -signal.SIGKILL
        kills += 1
        # What has its final name is whole already.
        for name, content in bytes_below(root).items():
            if not name.endswith(".manifest.json"):
                assert content == whole[name]
    assert bytes_below(root) == whole


def test_two_runs_at_once_end_with_the_same_bytes(sample, tmp_path):
    root = tmp_path / "data"
    runs = [
        subprocess.Popen(command(root, "--json"), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    outputs = [run.communicate() for run in runs]
    assert [run.returncode for run in runs] == [0, 0]
    states = [{stage["state"] for stage in json.loads(out)["stages"]} for out, _ in outputs]
    assert sorted(states, key=sorted) == [{"made"}, {"was there"}]
    assert bytes_below(root) == bytes_below(sample)


def test_a_file_where_the_directory_should_be_is_named(tmp_path):
    (tmp_path / "data").write_text("a file")
    with pytest.raises(BertkitError, match="cannot be written") as caught:
        make_sample(tmp_path / "data")
    assert str(tmp_path) in str(caught.value)
    assert (tmp_path / "data").read_text() == "a file"


def test_a_real_mrpc_that_is_there_is_not_overwritten(sample, tmp_path):
    root = tmp_path / "data"
    shutil.copytree(str(sample), str(root), ignore=shutil.ignore_patterns("MRPC*"))
    DataLayout(root).mrpc.mkdir()
    (DataLayout(root).mrpc / "train.tsv").write_text("the real one")
    with pytest.raises(BertkitError, match="did not make"):
        make_sample(root)
    assert (DataLayout(root).mrpc / "train.tsv").read_text() == "the real one"


def test_the_manifest_records_inputs_settings_and_sums(sample):
    layout = DataLayout(sample)
    content = json.loads(layout.manifest(layout.tfrecord(128)).read_text())
    assert content["settings"] == {
        "seq_len": 128, "max_predictions": 20, "duplicates": 2, "seed": 12345,
        "whole_words": False, "lowercase": True, "rules": 2,
    }  # fmt: skip
    assert content["inputs"]["vocab.txt"].startswith("07eced37")
    name = layout.record_name("training", 0)
    digest = hashlib.sha256((layout.tfrecord(128) / name).read_bytes()).hexdigest()
    assert content["outputs"][name]["sha256"] == digest
    assert set(content["made_with"]) == {"bertkit", "numpy", "tokenizers"}

"""From a dump to records: the same text however it is read, all of it once, whoever does what."""

import bz2
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bertkit.data.layout import PREDICTIONS, DataLayout
from bertkit.data.records.tfrecord import decode_example, read_records
from bertkit.data.samples import sources
from bertkit.data.stages.manifest import read_manifest

from .conftest import bytes_below
from .dumps import page, pages_of_sample, prose, write_multistream
from .packing.test_bad_input import first_child

MPIRUN = Path(sys.executable).parent / "mpirun"
PAGES = [page(number, prose(number)) for number in range(1, 61)]


def command(root, dump, *options):
    return [
        sys.executable, "-m", "bertkit", "data", "wiki", "--data", str(root), "--dump", str(dump),
        "--shards", "2", "--dupe-factor", "2", "--workers", "1", "--json", *options,
    ]  # fmt: skip


def wiki(root, dump, *options, fails=None, **more):
    done = subprocess.run(command(root, dump, *options), capture_output=True, text=True, **more)
    if fails is None:
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)
    assert done.returncode == fails, done.stderr
    return done.stderr


@pytest.fixture
def dump(tmp_path):
    return write_multistream(tmp_path, PAGES)


@pytest.fixture
def root(tmp_path, vocabulary_file):
    root = tmp_path / "data"
    DataLayout(root).vocab.parent.mkdir(parents=True)
    shutil.copy(str(vocabulary_file), str(DataLayout(root).vocab))
    return root


def test_a_dump_becomes_records_of_both_lengths(root, dump):
    stages = {stage["stage"]: stage for stage in wiki(root, dump)["stages"]}
    assert list(stages) == ["extracted", "articles", "sentences", "records 128", "records 512"]
    assert stages["articles"]["counts"]["articles"] == 60
    for seq_len, most in PREDICTIONS.items():
        for path in DataLayout(root).training_records(seq_len).iterdir():
            for content in read_records(path):
                example = decode_example(content)
                assert len(example["input_ids"]) == seq_len
                assert len(example["masked_lm_ids"]) == most
    assert {stage["state"] for stage in wiki(root, dump)["stages"]} == {"was there"}


def test_the_real_sample_has_the_same_text_by_streams_and_as_a_whole(root, tmp_path):
    head, pages, tail = pages_of_sample()
    multistream = write_multistream(tmp_path, pages, head, tail)
    wiki(root, multistream, "--until", "format")
    by_streams = DataLayout(root).formatted.read_bytes()
    other = tmp_path / "other"
    wiki(other, sources.sample_dump(), "--until", "format")
    assert DataLayout(other).formatted.read_bytes() == by_streams
    assert by_streams.count(b"\n\n") == 103


def test_pages_without_prose_and_of_other_namespaces_are_left_out(root, tmp_path):
    pages = [
        page(1, prose(1)), page(2, "", redirect='<redirect title="Page 1"/>'),
        page(3, "#REDIRECT [[Page 1]]"), page(4, prose(4), namespace="1"), page(5, ""),
        page(6, "{{stub}}"), page(7, prose(7)),
    ]  # fmt: skip
    wiki(root, write_multistream(tmp_path, pages), "--until", "format")
    lines = DataLayout(root).formatted.read_text().split("\n\n")[:-1]
    assert [line[:12] for line in lines] == ["The number 1", "The number 7"]


def test_extracted_text_has_the_form_that_upstream_reads(root, dump):
    wiki(root, dump, "--until", "extract")
    text = (DataLayout(root).extracted / "AA/wiki_00").read_text().split("\n")
    assert text[0] == '<doc id="1" title="Page 1">'
    assert text[1:3] == ["Page 1", ""]
    assert text.count("</doc>") == 60


# Shares


def test_shares_on_several_machines_make_the_same_bytes(root, dump, tmp_path, vocabulary_file):
    alone = tmp_path / "alone"
    DataLayout(alone).vocab.parent.mkdir(parents=True)
    shutil.copy(str(vocabulary_file), str(DataLayout(alone).vocab))
    wiki(alone, dump)
    processes = [
        subprocess.Popen(
            command(root, dump), stdout=subprocess.DEVNULL,
            env={**os.environ, "JOB_COMPLETION_INDEX": str(index), "BERTKIT_SHARES": "3"},
        )
        for index in range(3)
    ]  # fmt: skip
    assert [process.wait(timeout=300) for process in processes] == [0, 0, 0]
    assert bytes_below(root) == bytes_below(alone)


@pytest.mark.skipif(not MPIRUN.exists(), reason="no mpirun beside this Python")
def test_mpirun_shares_the_work_among_its_ranks(root, dump, tmp_path, vocabulary_file):
    alone = tmp_path / "alone"
    DataLayout(alone).vocab.parent.mkdir(parents=True)
    shutil.copy(str(vocabulary_file), str(DataLayout(alone).vocab))
    wiki(alone, dump)
    ranks = [str(MPIRUN), "--allow-run-as-root", "--oversubscribe", "--bind-to", "none", "-n", "3"]
    done = subprocess.run(
        [*ranks, *command(root, dump)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('"stage": "records 512"') == 3
    assert bytes_below(root) == bytes_below(alone)


def share_of(root, dump, number, total, *options):
    """A process that does one share, with what it says."""
    return subprocess.Popen(
        [*command(root, dump), f"--share={number}/{total}", "--until=format", *options],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_a_share_whose_first_was_killed_says_so_and_both_go_on_when_begun_again(root, dump):
    first = share_of(root, dump, 0, 2)
    mark = root / ".bertkit/share.0-of-2"
    deadline = time.monotonic() + 120
    while not (mark.exists() and mark.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.002)
    os.kill(first.pid, signal.SIGSTOP)
    second = share_of(root, dump, 1, 2)
    assert f"share 0/2, process {first.pid} on " in second.stderr.readline()
    first.kill()
    said = second.communicate(timeout=120)[1]
    first.communicate()
    assert second.returncode == 1
    assert "share 0/2 is gone" in said
    assert "it has ended on this machine" in said
    assert "--share 0/2" in said
    again = [share_of(root, dump, number, 2) for number in range(2)]
    said = [each.communicate(timeout=120)[1] for each in again]
    assert [each.returncode for each in again] == [0, 0], said


def test_a_share_that_never_comes_is_waited_for_as_long_as_asked(root, dump):
    other = share_of(root, dump, 1, 3, "--wait-for-shares=1")
    said = other.communicate(timeout=120)[1]
    assert other.returncode == 1
    assert "waiting for share 0/3: 1 of 1 parts are left" in said
    assert "no sign of life" in said


def test_the_same_share_is_not_done_twice_at_once(root, dump):
    """The second finds the first one's lock."""
    process = subprocess.Popen(command(root, dump), stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 120
        while not (root / ".bertkit/lock").exists() or not (root / ".bertkit/lock").read_text():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGSTOP)
        second = subprocess.Popen(
            command(root, dump), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        assert "waiting for process" in second.stderr.readline()
        os.kill(process.pid, signal.SIGCONT)
        assert process.wait(timeout=300) == 0
        assert second.wait(timeout=300) == 0
        second.stderr.close()
    finally:
        process.kill()
        process.wait()


def test_a_pod_of_several_that_is_told_no_index_does_nothing(root, dump, monkeypatch):
    monkeypatch.setenv("BERTKIT_SHARES", "4")
    monkeypatch.delenv("JOB_COMPLETION_INDEX", raising=False)
    assert "knows no indexed Jobs" in wiki(root, dump, fails=3)


@pytest.mark.parametrize("share", ["3/3", "1", "a/b", "-1/2", "1/0"])
def test_a_share_that_is_none_is_refused(root, dump, share):
    assert "is no share" in wiki(root, dump, f"--share={share}", fails=2)


# Kills and damage


def test_a_run_that_is_killed_at_every_stage_ends_with_the_same_bytes(
    root, dump, tmp_path, vocabulary_file
):
    whole = tmp_path / "whole"
    DataLayout(whole).vocab.parent.mkdir(parents=True)
    shutil.copy(str(vocabulary_file), str(DataLayout(whole).vocab))
    wiki(whole, dump)
    marks = (
        ".bertkit/parts/extracted", "formatted_one_article_per_line", "sharded",
        ".bertkit/parts/records/training-0.json",
    )  # fmt: skip
    for mark in marks:
        process = subprocess.Popen(
            command(root, dump), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 120
        while not (root / mark).exists() and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.002)
        process.kill()
        process.wait()
    wiki(root, dump)
    # What was killed in the middle of a write leaves a file with a name that nobody reads.
    left = {name: content for name, content in bytes_below(root).items() if name[-4:] != ".tmp"}
    assert left == bytes_below(whole)
    assert not list((root / ".bertkit/unfinished").iterdir())


def _little_room():
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, resource.RLIM_INFINITY))


def test_a_full_disk_is_named_and_the_next_run_goes_on(root, dump):
    said = wiki(root, dump, fails=1, preexec_fn=_little_room)
    assert "the data cannot be written" in said
    assert "make room and run the same command again" in said
    assert not DataLayout(root).formatted.exists()
    assert wiki(root, dump)["stages"][-1]["state"] == "made"


def test_the_death_of_a_worker_is_told_and_the_next_run_goes_on(root, sample):
    shutil.copytree(
        str(DataLayout(sample).formatted.parent), str(DataLayout(root).formatted.parent)
    )
    work = [*command(root, "none", "--start-at", "shard", "--until", "shard"), "--workers=2"]
    process = subprocess.Popen(work, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    os.kill(first_child(process.pid), signal.SIGKILL)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 1
    assert "a worker process was killed" in said
    assert not DataLayout(root).sharded.exists()
    subprocess.run(work, stdout=subprocess.DEVNULL, check=True)
    assert len(list((DataLayout(root).sharded / "training").iterdir())) == 2


def test_one_damaged_file_is_made_again_and_no_other(root, dump):
    wiki(root, dump)
    layout = DataLayout(root)
    damaged = layout.training_records(128) / "wikicorpus_en_training_1.tfrecord"
    before = damaged.read_bytes()
    other = layout.training_records(512) / "wikicorpus_en_training_0.tfrecord"
    untouched = other.stat().st_ino
    damaged.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))  # the same size
    states = {stage["stage"]: stage["state"] for stage in wiki(root, dump)["stages"]}
    assert states["records 128"] == "made"
    assert damaged.read_bytes() == before
    assert other.stat().st_ino == untouched


def test_fewer_files_leave_none_of_the_old_ones(root, dump):
    wiki(root, dump, "--shards", "3")
    wiki(root, dump, "--shards", "2")
    for directory in map(DataLayout(root).training_records, PREDICTIONS):
        assert len(list(directory.iterdir())) == 2


def test_a_file_of_somebody_elses_is_not_overwritten(root, dump):
    directory = DataLayout(root).training_records(128)
    directory.mkdir(parents=True)
    (directory / "mine.tfrecord").write_bytes(b"mine")
    said = wiki(root, dump, fails=1)
    assert "files that bertkit did not make" in said
    assert (directory / "mine.tfrecord").read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda dump: dump.write_bytes(dump.read_bytes()[:-3000]), "dump"),
        (lambda dump: dump.write_bytes(b"BZh9" + b"x" * 9000), "damaged"),
        (lambda dump: dump.write_bytes(b"<html>not found</html>"), "index"),
        (lambda dump: index_of(dump).write_bytes(bz2.compress(b"")), "it is empty"),
        (lambda dump: index_of(dump).write_bytes(bz2.compress(b"9:1:A\n3:2:B\n")), "do not rise"),
        (lambda dump: index_of(dump).write_bytes(bz2.compress(b"one line\n")), "invalid literal"),
        (lambda dump: index_of(dump).write_bytes(bz2.compress(b"40:1:A\n")), "byte 40"),
    ],
)
def test_a_dump_or_an_index_that_is_damaged_is_named(root, dump, harm, words):
    harm(dump)
    said = wiki(root, dump, fails=6)
    assert words in said
    assert not DataLayout(root).formatted.exists()


def index_of(dump):
    return dump.with_name(dump.name.replace(".xml.bz2", "-index.txt.bz2"))


def test_broken_pages_are_named_by_their_stream(root, tmp_path):
    pages = [*PAGES[:10], page(11, "<unclosed>"), *PAGES[11:20]]
    said = wiki(root, write_multistream(tmp_path, pages), fails=6)
    assert "pages of the dump cannot be read" in said
    assert "what is compressed at byte" in said


def test_a_dump_without_articles_is_an_error_and_not_an_empty_file(root, tmp_path):
    said = wiki(root, write_multistream(tmp_path, [page(1, "")]), fails=6)
    assert "there is no article" in said
    assert not DataLayout(root).formatted.exists()


def test_a_vocabulary_that_is_none_is_refused_before_hours_of_work(root, dump):
    DataLayout(root).vocab.write_text("only\none\n")
    assert "not a BERT vocabulary" in wiki(root, dump, fails=6)
    DataLayout(root).vocab.unlink()
    assert "there is no vocabulary" in wiki(root, dump, fails=3)
    assert not DataLayout(root).extracted.exists()


def test_another_vocabulary_makes_other_records_of_the_same_text(root, dump, tmp_path):
    wiki(root, dump)
    other = tmp_path / "vocab.txt"
    tokens = DataLayout(root).vocab.read_text(encoding="utf-8").split("\n")
    other.write_text("\n".join([*tokens[:-1], "anothertoken", ""]), encoding="utf-8")
    states = {s["stage"]: s["state"] for s in wiki(root, dump, "--vocab", str(other))["stages"]}
    assert states["sentences"] == "was there"
    assert states["records 128"] == "made"


def test_a_dry_run_changes_nothing(root, dump):
    before = sorted(root.rglob("*"))
    states = {stage["state"] for stage in wiki(root, dump, "--dry-run")["stages"]}
    assert states == {"would be made"}
    assert sorted(root.rglob("*")) == before


def test_status_tells_what_is_there_and_what_makes_the_rest(root, dump):
    wiki(root, dump, "--until", "shard")
    done = subprocess.run(
        [sys.executable, "-m", "bertkit", "data", "status", "--data", str(root), "--json"],
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    found = {each["what"]: each for each in json.loads(done.stdout)["stages"]}
    assert found["sentences"]["state"] == "there"
    assert found["sentences"]["counts"]["articles"] == 60
    assert found["records 128"]["state"] == "missing"
    assert found["records 128"]["command"] == f"bertkit data wiki --data {root}"
    (DataLayout(root).sharded / DataLayout(root).shard_name("test", 0)).unlink()
    manifest = read_manifest(DataLayout.manifest(DataLayout(root).sharded))
    assert len(manifest.outputs) == 4
    from bertkit.data.status import look

    states = {each.what: each.state for each in look(root)}
    assert states["sentences"] == "in part"

"""What is wrong with input or machine is named, nothing is lost, and the next run goes on."""

import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bertkit.data.packing.metadata import metadata_path
from bertkit.data.packing.packer import Request
from bertkit.data.packing.sequences import Limits
from bertkit.data.packing.stage import pack
from bertkit.data.packing.verify import verify_packs
from bertkit.errors import BertkitError, DataDamaged, UsageProblem
from bertkit.files import exclusive
from tests.data.packing.conftest import fill
from tests.data.packing.records import PREDICTIONS, TOKENS, example
from tests.data.spoiling import change_first, change_record, changed, longer


def request(source, output, **changes):
    return Request(source, output, **{"ranks": 2, "workers": 1, **changes})


def second(source):
    return sorted(source.iterdir())[1]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (longer("input_ids"), "input_ids has 49 values, not 48"),
        (longer("masked_lm_ids"), "masked_lm_ids has 8 values, not 7"),
        (longer("next_sentence_labels"), "next_sentence_labels has 2 values"),
        (lambda example: {**example, "more": [1]}, "wanted are"),
        (changed("input_mask", 1, 0), "input_mask is not ones"),
        (changed("input_mask", 0, 2), "input_mask is not ones"),
        (lambda example: {**example, "input_mask": [0] * TOKENS}, "input_mask is not ones"),
        (changed("input_ids", -1, 7), "padding is not zero"),
        (changed("segment_ids", -1, 1), "padding is not zero"),
        (changed("segment_ids", 0, 2), "segment_ids has another number"),
        (changed("masked_lm_weights", 0, 0.5), "masked_lm_weights is not ones"),
        (changed("masked_lm_ids", -1, 9), "unused predictions are not zero"),
        (changed("masked_lm_positions", 0, 47), "leave the sequence"),
        (changed("masked_lm_positions", 0, -1), "leave the sequence"),
        (changed("masked_lm_positions", 0, 1 << 30), "leave the sequence"),
        (changed("next_sentence_labels", 0, 2), "next_sentence_labels is neither"),
    ],
)
def test_every_kind_of_wrong_record_is_named(source, tmp_path, change, reason):
    output = tmp_path / "packs" / "training"
    where = change_first(second(source), lambda record: sum(record["input_mask"]) < 20, change)
    with pytest.raises(DataDamaged) as caught:
        pack(request(source, output))
    assert reason in str(caught.value)
    assert caught.value.where == where
    assert caught.value.exit_code == 6
    assert not output.exists()
    assert not metadata_path(output).exists()


def test_a_byte_that_changed_and_a_file_that_is_cut_are_named(source, tmp_path):
    path = sorted(source.iterdir())[1]
    whole = path.read_bytes()
    hit = bytearray(whole)
    hit[len(hit) // 2] ^= 1
    for content, reason in ((bytes(hit), "checksum"), (whole[:-1], "ends within"),
                            (b"no records at all", "checksum"), (b"", "empty")):  # fmt: skip
        path.write_bytes(content)
        with pytest.raises(DataDamaged, match=reason) as caught:
            pack(request(source, tmp_path / "packs" / "training", workers=2))
        assert str(path) in str(caught.value)
    path.write_bytes(whole)
    assert pack(request(source, tmp_path / "packs" / "training")).state == "made"


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (Limits(TOKENS - 1, PREDICTIONS), "input_ids has 48 values, not 47"),
        (Limits(TOKENS, PREDICTIONS - 1), "masked_lm_positions has 7 values, not 6"),
    ],
)
def test_records_of_another_length_than_asked_for_are_refused(source, tmp_path, limits, reason):
    with pytest.raises(DataDamaged, match=reason) as caught:
        pack(request(source, tmp_path / "packs" / "training", limits=limits))
    assert "--max-seq-length" in str(caught.value)


def test_a_directory_that_is_empty_missing_packed_or_has_other_things_is_refused(source, tmp_path):
    output = tmp_path / "packs" / "training"
    (tmp_path / "empty").mkdir()
    for place, reason in ((tmp_path / "empty", "empty"), (tmp_path / "no", "no such directory")):
        with pytest.raises(DataDamaged, match=reason):
            pack(request(place, output))
    pack(request(source, output))
    with pytest.raises(DataDamaged, match="packed already"):
        pack(request(output, tmp_path / "twice" / "training"))
    (source / "more").mkdir()
    with pytest.raises(DataDamaged, match="holds no records"):
        pack(request(source, output))


def test_input_and_output_cannot_lie_in_one_another(source):
    for output in (source, source / "packs", source.parent):
        with pytest.raises(UsageProblem, match="in one another"):
            pack(request(source, output))


def test_too_few_packs_for_the_ranks_are_refused(tmp_path):
    source = tmp_path / "records"
    fill(source, 1, 3)
    with pytest.raises(DataDamaged, match="--ranks"):
        pack(request(source, tmp_path / "packs" / "training", ranks=8))


def test_files_that_bertkit_did_not_make_stay(source, tmp_path):
    output = tmp_path / "packs" / "training"
    output.parent.mkdir()
    metadata_path(output).write_text("somebody else's")
    with pytest.raises(BertkitError, match="training_metadata.json"):
        pack(request(source, output))
    assert metadata_path(output).read_text() == "somebody else's"


def test_two_runs_at_once_into_one_directory_are_one_too_many(source, tmp_path):
    output = tmp_path / "packs" / "training"
    lock = output.parent / ".bertkit" / "lock"
    with exclusive(lock, purpose="another run"), pytest.raises(BertkitError) as caught:
        pack(request(source, output))
    assert "under way" in str(caught.value)
    assert caught.value.exit_code == 1
    assert pack(request(source, output)).state == "made"


def test_a_full_disk_is_named_and_leaves_the_packs_of_before(source, tmp_path):
    output = tmp_path / "packs" / "training"
    pack(request(source, output, seed=1))
    before = {path.name: path.read_bytes() for path in output.iterdir()}
    told = metadata_path(output).read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(BertkitError, match="packs cannot be written") as caught:
            pack(request(source, output, seed=2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.exit_code == 1
    assert {path.name: path.read_bytes() for path in output.iterdir()} == before
    assert metadata_path(output).read_bytes() == told
    assert pack(request(source, output, seed=2)).state == "made"


def test_records_that_change_while_they_are_packed_are_noticed(source, tmp_path, monkeypatch):
    from bertkit.data.packing import plan

    def meanwhile(index, limits):
        change_record(second(source), 7, lambda _: example(20, random.Random(9)))
        return least(index, limits)

    least = plan.least_packs
    monkeypatch.setattr(plan, "least_packs", meanwhile)
    with pytest.raises(BertkitError, match="changed while"):
        pack(request(source, tmp_path / "packs" / "training"))
    assert not (tmp_path / "packs" / "training").exists()


COMMAND = [sys.executable, "-m", "bertkit", "data", "pack"]


def start(source, output, *more):
    return subprocess.Popen(
        [*COMMAND, str(source), "--output", str(output), "--ranks", "2", "--window", "256", *more],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_the_death_of_a_worker_is_told_and_the_next_run_goes_on(tmp_path):
    source, output = tmp_path / "records", tmp_path / "packs" / "training"
    fill(source, 4, 1500)
    running = start(source, output, "--workers", "2")
    worker = first_child(running.pid)
    os.kill(worker, signal.SIGKILL)
    _, told = running.communicate(timeout=300)
    assert running.returncode == 1
    assert "a worker process was killed" in told
    assert not output.exists()
    again = start(source, output, "--workers", "2")
    _, told = again.communicate(timeout=300)
    assert again.returncode == 0, told
    assert verify_packs(output, source=source, workers=1).sequences == 6000


def first_child(pid):
    """A child process, as soon as there is one."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
        if children:
            return int(children[0])
        time.sleep(0.002)
    raise AssertionError("it started no worker")

"""Real upstream 1.13.0, with the patches only, really trains: on the CPU, the tiny model."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict

import pytest

pytestmark = [pytest.mark.real, pytest.mark.tensorflow]


@pytest.fixture(scope="module")
def work(workplace: Path) -> Path:
    pytest.importorskip("horovod")
    return workplace


def bertkit(directory: Path, *arguments: str) -> Dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "bertkit", *arguments, "--json"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=directory,
    )
    result: Dict[str, Any] = json.loads(done.stdout)
    return result


def train(directory: Path, *arguments: str) -> Dict[str, Any]:
    return bertkit(directory, "train", "--device", "cpu", "--model", "tiny", *arguments)


def test_phase_1_leads_to_phase_2_and_to_both_tasks_on_2_ranks(
    work: Path, upstream_url: str
) -> None:
    phase1 = train(work, "--phase", "1", "--cards", "2")
    assert phase1["steps"] == 6
    assert phase1["last_loss"] < phase1["first_loss"]
    phase2 = train(work, "--phase", "2", "--cards", "2")
    assert phase2["steps"] == 4
    mrpc = train(work, "--task", "mrpc", "--cards", "2")
    assert 0 <= mrpc["evaluation"]["accuracy"] <= 1
    squad = train(work, "--task", "squad", "--cards", "2")
    assert set(squad["evaluation"]) == {"exact_match", "f1"}
    assert all(0 <= score <= 100 for score in squad["evaluation"].values())
    for job in ("mrpc", "squad"):
        record = json.loads((work / f"results/{job}/.bertkit/run.json").read_text())
        assert record["plan"]["starts_from"] == phase2["checkpoint"]


def test_packed_records_are_trained_on_traced_and_evaluated_on_plain_ones(
    work: Path, upstream_url: str
) -> None:
    bertkit(work, "data", "pack", "--data", "data", "--phase", "1", "--ranks", "2")
    result = train(
        work, "--phase", "1", "--packed", "--eval", "--profile", "1,2", "--cards", "2",
        "--output", "packed",
    )  # fmt: skip
    assert {"masked_lm_loss", "next_sentence_accuracy"} <= set(result["evaluation"])
    assert list((work / "packed/plugins/profile").glob("*/*.xplane.pb"))
    numbers = json.loads((work / "packed/.bertkit/run.json").read_text())["plan"]["numbers"]
    metadata = "data/tfrecord_packed/seq_len_128/wikicorpus_en/training_metadata.json"
    average = json.loads((work / metadata).read_text())["avg_seq_per_sample"]
    assert numbers["packs_accumulated"] == max(1, round(32 / (4 * 2) / average))


def test_phase_2_runs_on_8_ranks(work: Path, upstream_url: str) -> None:
    result = train(
        work, "--phase", "2", "--cards", "8", "--init-checkpoint", "none", "--output", "eight"
    )
    assert result["ranks"] == 8
    assert sorted(path.name for path in (work / "eight/.bertkit/ranks").glob("*.log")) == [
        f"{rank}.log" for rank in range(8)
    ]
    assert (work / "eight/worker_7/model.ckpt-4.index").is_file()


def test_one_card_needs_neither_mpirun_nor_horovod(work: Path, upstream_url: str) -> None:
    result = train(work, "--phase", "1", "--steps", "2", "--output", "one")
    assert result["steps"] == 2

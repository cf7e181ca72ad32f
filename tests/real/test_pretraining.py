"""Real upstream 1.13.0, patched: evaluation, dllogger and packed data of run_pretraining.py."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Set

import pytest

from bertkit.launch.plan import Request, make_plan
from bertkit.launch.recipes.recipe import load
from bertkit.prepare import prepare

pytestmark = [pytest.mark.real, pytest.mark.tensorflow]

BERT = "TensorFlow/nlp/bert"
RECORDS = "tfrecord/seq_len_128/wikicorpus_en"


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory, upstream_url: str) -> Path:
    """Upstream 1.13.0 as it is and patched, the sample data, and two files of it packed."""
    pytest.importorskip("tensorflow")
    pytest.importorskip("horovod")
    pytest.importorskip("scipy")
    directory = tmp_path_factory.mktemp("pretraining")
    for name, only in (("plain", []), ("patched", None)):
        prepare(
            synapse_version="1.13.0",
            upstream=upstream_url,
            destination=directory / name,
            only=only,
        )
    bertkit = [sys.executable, "-m", "bertkit", "data", "sample", "--data", str(directory / "data")]
    subprocess.run(bertkit, stdout=subprocess.DEVNULL, check=True)
    few = directory / "few"
    few.mkdir()
    for file in sorted((directory / "data" / RECORDS / "training").iterdir())[:2]:
        shutil.copy(file, few)
    packed = directory / "packed" / RECORDS / "training"
    packed.mkdir(parents=True)
    subprocess.run(
        [sys.executable, f"{BERT}/data_preprocessing/pack_pretraining_data_tfrec.py",
         f"--input-glob={few}/", f"--output-dir={packed}", "--max-files=2",
         "--max-sequence-length=128", "--max-predictions-per-sequence=20"],
        cwd=directory / "plain", env={**os.environ, "PYTHONPATH": str(directory / "plain")},
        stdout=subprocess.DEVNULL, check=True,
    )  # fmt: skip
    # The sample's texts hardly leave room for packing; books do.
    metadata = packed.with_name("training_metadata.json")
    average = {**json.loads(metadata.read_text()), "avg_seq_per_sample": 2.4}
    metadata.write_text(json.dumps(average))
    return directory


def run(work: Path, tree: str, name: str, *flags: str, data: str = "packed", ranks: int = 1) -> str:
    """Two steps of phase 1; the ranks' logs, and on top the exit code."""
    output = work / name
    (output / ".bertkit" / "dllog").mkdir(parents=True)
    request = Request(
        recipe=load("phase1"), model="tiny", cards=ranks, device="cpu", repo=work / tree,
        data=work / data, output=output, init_checkpoint=None, steps=2,
        extra_flags=(), python=Path(sys.executable),
    )  # fmt: skip
    plan = make_plan(request, os.environ)
    # Behind the plan's own, which they contradict on purpose: the last one of a name counts.
    own = ["--num_accumulation_steps=1", f"--dllog_path={output}/dllog.json", *flags]
    done = subprocess.run(
        [*plan.argv, *own], env=dict(plan.environment), cwd=plan.working_directory, timeout=600,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    logs = [log.read_text(errors="replace") for log in sorted(output.rglob("ranks/*.log"))]
    return "\n".join([f"exit {done.returncode}", *logs, done.stdout])


def evaluate(work: Path, tree: str, name: str, *flags: str, data: str = "packed") -> str:
    test = f"--eval_files_dir={work / 'data' / RECORDS / 'test'}"
    return run(work, tree, name, "--do_eval=True", test, "--max_eval_steps=3", *flags, data=data)


@pytest.mark.parametrize("data", ["data", "packed"])
def test_evaluation_writes_its_results(work: Path, upstream_url: str, data: str) -> None:
    logs = evaluate(work, "patched", f"evaluation-{data}", data=data)
    assert logs.startswith("exit 0\n"), logs[-2000:]
    results = (work / f"evaluation-{data}" / "eval_results.txt").read_text()
    assert "masked_lm_loss = " in results
    assert "next_sentence_accuracy = " in results


def test_one_step_of_evaluation_is_enough(work: Path, upstream_url: str) -> None:
    logs = evaluate(work, "patched", "one-step", "--max_eval_steps=1")
    assert logs.startswith("exit 0\n"), logs[-2000:]
    assert (work / "one-step" / "eval_results.txt").is_file()


def test_without_the_patch_evaluation_is_a_type_error(work: Path, upstream_url: str) -> None:
    logs = evaluate(work, "plain", "type-error", "--do_train=False")
    assert not logs.startswith("exit 0\n")
    assert "missing 1 required positional argument: 'enable_packed_data_mode'" in logs


def moments_that_differ(directory: Path) -> Set[str]:
    """Which means of the gradients are not the same in the checkpoints of ranks 0 and 1."""
    import tensorflow as tf

    first, second = (
        tf.train.load_checkpoint(str(place / "model.ckpt-2"))
        for place in (directory, directory / "worker_1")
    )
    return {
        name
        for name in first.get_variable_to_shape_map()
        if name.endswith("/adam_m") and (first.get_tensor(name) != second.get_tensor(name)).any()
    }


def test_ranks_with_packed_data_average_their_gradients_and_log_once(
    work: Path, upstream_url: str
) -> None:
    """1 accumulation step and 2.4 sequences a pack: without the patch that is 0 steps."""
    assert run(work, "plain", "drifting", ranks=2).startswith("exit 0\n")
    assert moments_that_differ(work / "drifting")
    assert run(work, "patched", "together", ranks=2).startswith("exit 0\n")
    assert moments_that_differ(work / "together") == set()
    lines = (work / "together" / "dllog.json").read_text().splitlines()
    metrics = [json.loads(line[5:]).get("metric") for line in lines]
    assert metrics.count("total_loss") == 1  # each rank that opens the file declares it once

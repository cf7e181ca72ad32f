"""MRPC and SQuAD of real upstream 1.13.0 with the patches: one writer of each file, one result.

On the CPU, with the tiny model; on one host, and on two that share their storage.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Dict, List

import pytest

from bertkit.resources import shipped
from tests.real.two_hosts import two_hosts, why_not
from tests.standin.runner import mpirun

pytestmark = [pytest.mark.real, pytest.mark.tensorflow]

# Rank 0 takes long over its results, so that the others end well before it.
SLOW_RESULTS = """
import os, runpy, sys, time
import tensorflow as tf
plain = tf.io.gfile.GFile
def slow(name, mode="r"):
    if os.path.basename(name) in ("eval_results.txt", "predictions.json"):
        time.sleep(20)
    return plain(name, mode)
tf.io.gfile.GFile = slow
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


class Work:
    """A patched checkout, the sample data, and a way to run a script on ranks by hand."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.tree = directory / "Model-References"
        self.data = directory / "data"

    def environment(self, *, shared: bool) -> Dict[str, str]:
        shims = [shipped("launchers") / "cpu", shipped("launchers") / "dllogger"]
        search = [self.tree, self.tree / "TensorFlow/nlp/bert", *shims]
        return {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(str(path) for path in search),
            "BERTKIT_OUTPUT_SHARED": "1" if shared else "0",
            "TF_CPP_MIN_LOG_LEVEL": "2",
            "OMPI_MCA_mpi_yield_when_idle": "1",
            "HOROVOD_CYCLE_TIME": "5",
        }

    def command(self, task: str, output: Path, *flags: str) -> List[str]:
        slow = self.directory / "slow.py"
        slow.write_text(SLOW_RESULTS)
        script = {"mrpc": "run_classifier.py", "squad": "run_squad.py"}[task]
        own = {
            "mrpc": ["--task_name=MRPC", f"--data_dir={self.data / 'MRPC'}"],
            "squad": [
                f"--train_file={self.data / 'SQuAD/train-v1.1.json'}",
                f"--predict_file={self.data / 'SQuAD/dev-v1.1.json'}",
                "--doc_stride=64",
            ],
        }[task]
        return [
            sys.executable, str(slow), str(self.tree / "TensorFlow/nlp/bert" / script),
            f"--vocab_file={self.data / 'vocab/uncased/vocab.txt'}",
            f"--bert_config_file={shipped('launchers') / 'models/tiny.json'}",
            f"--output_dir={output}", "--max_seq_length=128", "--train_batch_size=8",
            "--num_train_epochs=0.5", "--do_eval=true", "--do_predict=true", *own, *flags,
        ]  # fmt: skip

    def ranks(self, count: int) -> List[str]:
        flags = ["--allow-run-as-root", "--oversubscribe", "--bind-to", "none"]
        return [str(mpirun()), *flags, "-np", str(count)]


def run(argv: List[str], environment: Dict[str, str]) -> str:
    """Standard output and error of a run that must succeed."""
    done = subprocess.run(
        argv, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=900, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout


def assert_one_set_of_results(task: str, output: Path, text: str) -> None:
    if task == "mrpc":
        assert text.count("***** Eval results *****") == 1
        assert text.count("***** Predict results *****") == 1
        assert (output / "eval_results.txt").read_text().count("accuracy = ") == 1
        assert len((output / "test_results.tsv").read_text().splitlines()) == 100
    else:
        assert text.count("Final accuracy") == 1
        assert [path.parent.name for path in output.rglob("predictions.json")] == ["worker_0"]


@pytest.fixture(scope="module")
def work(workplace: Path) -> Work:
    pytest.importorskip("horovod")
    return Work(workplace)


@pytest.mark.parametrize("task", ["mrpc", "squad"])
def test_2_ranks_leave_one_set_of_results_though_one_ends_long_before_the_other(
    work: Work, tmp_path: Path, task: str
) -> None:
    flags = ("--use_horovod=true", "--do_train=true", "--profile=2,3")
    command = [*work.ranks(2), *work.command(task, tmp_path, *flags)]
    text = run(command, work.environment(shared=False))
    assert_one_set_of_results(task, tmp_path, text)
    # And each rank its own trace.
    traces = sorted(path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*.xplane.pb"))
    assert traces == ["worker_0", "worker_1"]


@pytest.mark.skipif(bool(why_not()), reason=why_not() or "two hosts can be had")
@pytest.mark.parametrize("task", ["mrpc", "squad"])
def test_2_hosts_with_2_ranks_each_leave_one_set_of_results_on_shared_storage(
    work: Work, tmp_path: Path, task: str
) -> None:
    output = tmp_path / "output"
    flags = ("--use_horovod=true", "--do_train=true")
    command = [*work.ranks(4), *work.command(task, output, *flags)]
    with two_hosts(tmp_path, slots=2) as hosts:
        environment = {**work.environment(shared=True), **hosts.environment()}
        text = run(hosts.command(command), environment)
    assert_one_set_of_results(task, output, text)
    # Each of the four ranks wrote its own part.
    files = sorted(output.glob("train.tf_record_*"))
    assert [file.name[-1] for file in files] == ["0", "1", "2", "3"]
    sizes = [file.stat().st_size for file in files]
    assert min(sizes) > 0
    assert len({file.read_bytes() for file in files}) == 4


@pytest.mark.parametrize("task", ["mrpc", "squad"])
def test_results_can_be_had_without_training(work: Work, tmp_path: Path, task: str) -> None:
    text = run(work.command(task, tmp_path), work.environment(shared=False))
    assert ("***** Eval results *****" if task == "mrpc" else "Final accuracy") in text
    assert "***** Running training *****" not in text

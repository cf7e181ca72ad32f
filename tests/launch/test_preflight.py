"""``bertkit train`` refuses before any rank starts, by exit code, and changes nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Callable, Dict, List, Optional, Tuple

import pytest

Put = Callable[[Path, int], Path]
Train = Callable[..., Tuple[int, str]]


@pytest.fixture
def modules(tmp_path: Path) -> Path:
    """Stand-ins for what the ranks import: this tests the refusals, not TensorFlow."""
    place = tmp_path / "modules"
    for name in ("tensorflow", "horovod", "numpy", "scipy", "tensorboard"):
        (place / name).mkdir(parents=True)
        (place / name / "__init__.py").touch()
    tensorflow_version(place, "2.13.1")
    return place


def tensorflow_version(place: Path, version: str) -> None:
    info = place / "tensorflow_cpu-2.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: tensorflow-cpu\nVersion: {version}\n"
    )


@pytest.fixture
def train(tmp_path: Path, repo: Path, data: Path, modules: Path) -> Train:
    """Runs ``bertkit train`` on the fixtures' checkout and data; gives exit code and stderr."""

    def call(*arguments: str, environment: Optional[Dict[str, str]] = None) -> Tuple[int, str]:
        command = [sys.executable, "-m", "bertkit", "train", "--repo", str(repo), "--data",
                   str(data), "--device", "cpu", "--model", "tiny", *arguments]  # fmt: skip
        if "--output" not in arguments:
            command += ["--output", str(tmp_path / "results" / "run")]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(modules), **(environment or {})},
        )  # fmt: skip
        return done.returncode, done.stderr

    return call


def everything_below(directory: Path) -> List[Tuple[str, int]]:
    return sorted((str(path), path.stat().st_mtime_ns) for path in directory.rglob("*"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--phase", "3"], "'3' is not one of"),
        (["--task", "squid"], "'squid' "),
        (["--phase", "1", "--cards", "0"], "0 is not in the range 1<=x<=8"),
        (["--phase", "1", "--cards", "9"], "9 is not in the range 1<=x<=8"),
        (["--phase", "1", "--cads", "8"], "--cads"),
        (["--phase", "1", "--task", "mrpc"], "say one of"),
        ([], "say one of"),
        (["--phase", "1", "--steps", "0"], "0 is not in the range"),
        (["--phase", "1", "--model", "huge"], "'huge' is not one of"),
    ],
)
def test_a_command_line_that_makes_no_sense_is_exit_2(
    train: Train, arguments: List[str], words: str
) -> None:
    code, said = train(*arguments)
    assert code == 2
    assert words in said


def test_every_refusal_leaves_everything_as_it_was(
    train: Train, data: Path, tmp_path: Path
) -> None:
    for record in (data / "tfrecord/seq_len_128/wikicorpus_en/training").iterdir():
        record.unlink()
    before = everything_below(tmp_path)
    code, said = train("--phase", "1")
    assert (code, "Traceback" in said) == (6, False)
    assert everything_below(tmp_path) == before


def test_a_missing_data_directory_is_exit_6(train: Train, data: Path) -> None:
    data.rename(data.with_name("elsewhere"))
    code, said = train("--phase", "1")
    assert code == 6
    assert "training records: not there" in said
    assert "bertkit data sample" in said


def test_records_that_are_no_directory_are_exit_6(train: Train, data: Path) -> None:
    records = data / "tfrecord/seq_len_128/wikicorpus_en/training"
    shutil.rmtree(records)
    records.touch()
    code, said = train("--phase", "1")
    assert code == 6
    assert "training records: not a directory" in said


def test_stray_words_are_exit_2(train: Train) -> None:
    code, said = train("--phase", "1", "resume")
    assert code == 2
    assert "'resume' is no flag" in said


def test_a_mistake_on_the_command_line_is_told_as_json_too(train: Train, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bertkit", "train", "--phase", "1", "--cards", "9", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 2
    assert json.loads(done.stdout)["exit_code"] == 2


def test_a_path_that_the_terminal_cannot_show_is_shown_escaped(train: Train) -> None:
    ascii_only = {"PYTHONIOENCODING": "ascii"}
    code, _ = train("--phase", "1", "--dry-run", "--output", "\u00e9/x", environment=ascii_only)
    assert code == 0


def test_fewer_files_than_ranks_are_exit_6_with_the_number_that_would_do(
    train: Train, data: Path, modules: Path
) -> None:
    records = data / "tfrecord/seq_len_128/wikicorpus_en/training"
    for number in range(5):
        (records / f"{number}.tfrecord").unlink()
    mpirun = modules / "mpirun"
    mpirun.write_text("#!/bin/sh\necho 'mpirun (Open MPI) 4.1.5'\n")
    mpirun.chmod(0o755)
    path = {"PATH": f"{modules}:{os.environ['PATH']}"}
    code, said = train("--phase", "1", "--cards", "4", environment=path)
    assert code == 6
    assert "3 files of training records for 4 ranks" in said
    assert "--cards 3" in said


def test_a_missing_vocabulary_is_exit_6(train: Train, data: Path) -> None:
    (data / "vocab/uncased/vocab.txt").unlink()
    code, said = train("--task", "mrpc", "--init-checkpoint", "none")
    assert code == 6
    assert "vocab: not there" in said


def test_phase_2_without_phase_1_is_exit_6_and_says_what_to_do(train: Train) -> None:
    code, said = train("--phase", "2")
    assert code == 6
    assert "no checkpoint of phase1" in said
    assert "--init-checkpoint" in said


def test_half_a_checkpoint_is_exit_6_and_names_the_part(
    train: Train, tmp_path: Path, whole_checkpoint: Put
) -> None:
    prefix = whole_checkpoint(tmp_path / "results" / "phase1", 7)
    data_file = prefix.with_name(prefix.name + ".data-00000-of-00001")
    data_file.write_bytes(data_file.read_bytes()[:100])
    code, said = train("--phase", "2")
    assert code == 6
    assert "has 100 of 312 bytes" in said


def test_a_checkpoint_of_another_model_is_exit_6(
    train: Train, tmp_path: Path, whole_checkpoint: Put
) -> None:
    whole_checkpoint(tmp_path / "results" / "phase1", 7)
    code, said = train("--phase", "2")
    assert code == 6
    assert "does not fit the tiny model" in said
    assert "11 x 4" in said


def test_an_output_that_cannot_be_written_to_is_exit_3(train: Train, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    code, said = train("--phase", "1", "--output", str(tmp_path / "file" / "run"))
    assert code == 3
    assert "not a directory" in said


def test_an_output_that_holds_a_run_is_exit_2_unless_resumed(
    train: Train, tmp_path: Path, whole_checkpoint: Put
) -> None:
    whole_checkpoint(tmp_path / "results" / "run", 7)
    code, said = train("--phase", "1")
    assert code == 2
    assert "--resume" in said


def test_a_finished_run_is_not_resumed(train: Train, tmp_path: Path, whole_checkpoint: Put) -> None:
    whole_checkpoint(tmp_path / "results" / "run", 6)
    code, said = train("--phase", "1", "--resume")
    assert code == 2
    assert "the run is finished: 6 of 6 steps" in said


def test_where_nothing_is_there_is_nothing_to_resume(train: Train) -> None:
    code, said = train("--phase", "1", "--resume")
    assert code == 2
    assert "there is no run to resume" in said


def test_another_jobs_run_is_not_resumed(train: Train, tmp_path: Path) -> None:
    record = tmp_path / "results" / "run" / ".bertkit" / "run.json"
    record.parent.mkdir(parents=True)
    record.write_text('{"state": "failed", "plan": {"job": "phase2", "model": "large"}}')
    code, said = train("--phase", "1", "--resume")
    assert code == 2
    assert "it is phase2, large model; this is phase1, tiny model" in said


def test_a_run_without_a_whole_checkpoint_is_not_resumed(
    train: Train, tmp_path: Path, whole_checkpoint: Put
) -> None:
    prefix = whole_checkpoint(tmp_path / "results" / "run", 3)
    prefix.with_name(prefix.name + ".index").write_bytes(b"x")
    code, said = train("--phase", "1", "--resume")
    assert code == 6
    assert "no checkpoint of it is whole" in said
    assert "without --resume" in said


def test_a_resumed_run_needs_the_job_before_no_more(
    train: Train, tmp_path: Path, whole_checkpoint: Put
) -> None:
    whole_checkpoint(tmp_path / "results" / "run", 2)
    code, said = train("--phase", "2", "--resume", "--dry-run")
    assert code == 0
    assert "no checkpoint of phase1" not in said


def test_a_tree_that_differs_from_its_lock_is_exit_4_and_names_the_file(
    train: Train, repo: Path
) -> None:
    (repo / "TensorFlow/nlp/bert/patched.sh").write_text("echo mine\n")
    code, said = train("--phase", "1")
    assert code == 4
    assert "patched.sh" in said
    assert "bertkit patches status" in said


def test_a_directory_that_is_no_checkout_is_exit_3(train: Train, repo: Path) -> None:
    (repo / ".bertkit/lock.json").unlink()
    code, said = train("--phase", "1")
    assert code == 3
    assert "bertkit prepare-repo" in said


def test_a_damaged_lock_is_exit_4(train: Train, repo: Path) -> None:
    lock = repo / ".bertkit/lock.json"
    lock.write_text(lock.read_text()[:-20])
    assert train("--phase", "1")[0] == 4


def test_tensorflow_of_another_version_is_exit_3_with_the_one_that_is_wanted(
    train: Train, modules: Path
) -> None:
    tensorflow_version(modules, "2.15.0")
    code, said = train("--phase", "1")
    assert code == 3
    assert "TensorFlow 2.15.0 is here" in said
    assert "2.13.1" in said


def test_a_missing_module_is_exit_3_with_what_installs_it(
    train: Train, modules: Path, tmp_path: Path
) -> None:
    bare = tmp_path / "python"  # sees PYTHONPATH only, not what this test runs with
    bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n')
    bare.chmod(0o755)
    environment = {"BERTKIT_PYTHON": str(bare)}
    assert train("--phase", "1", environment=environment)[0] != 3
    shutil.rmtree(modules / "scipy")
    code, said = train("--phase", "1", environment=environment)
    assert code == 3
    assert "the Python module scipy is missing" in said
    assert "-m pip install scipy" in said


def test_a_python_that_is_not_there_is_exit_3(train: Train) -> None:
    code, said = train("--phase", "1", environment={"BERTKIT_PYTHON": "/nowhere/python"})
    assert code == 3
    assert "the ranks' Python does not answer" in said


def test_all_that_stands_in_the_way_is_said_at_once(
    train: Train, data: Path, repo: Path, modules: Path
) -> None:
    (repo / "TensorFlow/nlp/bert/patched.sh").write_text("echo mine\n")
    tensorflow_version(modules, "2.15.0")
    for record in (data / "tfrecord/seq_len_128/wikicorpus_en/training").iterdir():
        record.unlink()
    code, said = train("--phase", "1")
    assert code == 4
    for words in ("3 things stand in the way", "patched.sh", "TensorFlow 2.15.0", "empty"):
        assert words in said


def test_a_dry_run_prints_the_plan_and_what_would_stop_it(
    train: Train, data: Path, repo: Path, tmp_path: Path
) -> None:
    before = everything_below(tmp_path)
    command = [sys.executable, "-m", "bertkit", "train", "--phase", "2", "--device", "cpu",
               "--model", "tiny", "--repo", str(repo), "--data", str(data),
               "--output", str(tmp_path / "results/run"), "--dry-run", "--json"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    plan = json.loads(done.stdout)
    assert plan["numbers"]["accumulation"] == 8
    assert "no checkpoint of phase1" in plan["problems"][0]["error"]
    assert everything_below(tmp_path) == before

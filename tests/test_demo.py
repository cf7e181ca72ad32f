from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bertkit import demo


def bertkit(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bertkit", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={**os.environ, **environment},
    )


def test_the_demo_is_made_of_the_users_own_commands(tmp_path: Path) -> None:
    done = bertkit("demo", "--upstream", "standin", "--dry-run", cwd=tmp_path)
    commands = done.stdout.splitlines()
    assert [command.split()[:2] for command in commands] == [
        ["bertkit", "prepare-repo"],
        ["bertkit", "data"],
        ["bertkit", "train"],
        ["bertkit", "train"],
        ["bertkit", "train"],
    ]
    assert list(tmp_path.iterdir()) == []


def test_where_upstream_does_not_answer_the_stand_in_takes_its_place_with_one_line(
    tmp_path: Path,
) -> None:
    nowhere = f"file://{tmp_path}/nowhere"
    done = bertkit("demo", "--dry-run", cwd=tmp_path, BERTKIT_UPSTREAM=nowhere)
    assert done.stderr.count("\n") == 1
    assert "going on with the built-in stand-in" in done.stderr
    assert "--upstream standin" in done.stdout


def test_a_second_demo_keeps_the_results_of_the_first(tmp_path: Path) -> None:
    assert demo.fresh_results(tmp_path) == tmp_path / "results" / "1"
    (tmp_path / "results" / "1").mkdir(parents=True)
    assert demo.fresh_results(tmp_path) == tmp_path / "results" / "2"


def test_a_step_that_fails_ends_the_demo_with_its_exit_code(tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "Model-References-standin").mkdir()
    (tmp_path / "demo" / "Model-References-standin" / "mine.txt").write_text("not bertkit's")
    done = bertkit("demo", "--upstream", "standin", cwd=tmp_path)
    assert done.returncode == 3
    assert "ended at step 1 of 5" in done.stderr


@pytest.mark.tensorflow
def test_the_demo_goes_the_whole_way_on_the_stand_in(tmp_path: Path) -> None:
    pytest.importorskip("tensorflow")
    pytest.importorskip("horovod")
    done = bertkit("demo", "--upstream", "standin", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    phase1, phase2, mrpc = json.loads(done.stdout)
    assert (phase1["ranks"], phase1["device"], phase1["model"]) == (2, "cpu", "tiny")
    assert phase1["last_loss"] < phase1["first_loss"]
    assert Path(phase2["checkpoint"] + ".index").is_file()
    assert "accuracy" in json.dumps(mrpc["evaluation"])

    record = json.loads((tmp_path / "demo/results/1/phase2/.bertkit/run.json").read_text())
    assert record["plan"]["starts_from"] == phase1["checkpoint"]
    assert record["lock"]["url"] == "standin"
    assert "this is a CPU run" in done.stderr

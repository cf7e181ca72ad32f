"""The patched create_datasets_from_start.sh of the stand-in, with a program in Python's place."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import List, Tuple

import pytest

from bertkit.patching import apply_series, load_series
from bertkit.resources import shipped

SCRIPT = "TensorFlow/nlp/bert/data_preprocessing/create_datasets_from_start.sh"
STEPS = ["download", "text_formatting", "sharding", "create_tfrecord_files"]


@pytest.fixture(params=[None, ["strict-data-script"]], ids=["whole-series", "alone"])
def script(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    shutil.copytree(shipped("standin"), tree)
    apply_series(tree, "1.13.0", load_series(), only=request.param)
    return tree / SCRIPT


def run(script: Path, failing: str = "", python: str = "PYTHON") -> Tuple[int, List[str]]:
    """The exit code and the actions that were started; *failing* is the one that fails."""
    programs = script.parent / "bin"
    programs.mkdir(exist_ok=True)
    called = script.parent / "called"
    called.write_text("")
    fake = programs / "python3"
    fake.write_text(f'#!/bin/sh\necho "$3" >> "{called}"\n[ "$3" != "{failing}" ]\n')
    fake.chmod(0o755)
    environment = {"PATH": f"{programs}:/usr/bin:/bin"}
    if python:
        environment[python] = str(fake)
    result = subprocess.run(["bash", script.name], env=environment, cwd=script.parent, check=False)
    return result.returncode, called.read_text().split()


def test_all_steps_run_in_their_order(script: Path) -> None:
    assert run(script) == (0, [*STEPS, "create_tfrecord_files"])


@pytest.mark.parametrize("failing", STEPS)
def test_a_step_that_fails_is_the_last(script: Path, failing: str) -> None:
    code, called = run(script, failing)
    assert code == 1
    assert called == STEPS[: STEPS.index(failing) + 1]


def test_python3_is_taken_where_the_environment_names_no_python(script: Path) -> None:
    assert run(script, python="")[0] == 0

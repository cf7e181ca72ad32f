"""Set-up names all that is missing at once, downloads nothing then, and knows when it is done."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Callable

import pytest

TOOL = Path(__file__).resolve().parents[2] / "tools" / "setup_env.py"
SetUp = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What set-up looks at in a clone."""
    (tmp_path / "clone/tools").mkdir(parents=True)
    shutil.copy(TOOL, tmp_path / "clone/tools")
    (tmp_path / "clone/pyproject.toml").write_text("[project]\n")
    return tmp_path / "clone"


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """The only directory on PATH; empty."""
    directory = tmp_path / "programs"
    directory.mkdir()
    return directory


@pytest.fixture
def set_up(clone: Path, programs: Path, tmp_path: Path) -> SetUp:
    def call(what: str = "cpu", **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(clone / "tools/setup_env.py"), what],
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": str(programs), "HOME": str(tmp_path), **environment},
        )

    return call


def program(directory: Path, name: str, script: str) -> None:
    path = directory / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def python(directory: Path, name: str, version: str, *, venv: bool = True) -> None:
    """A program that answers set-up's questions as a Python of *version* would."""
    answers = f"*version_info*) echo {version};; *ensurepip*) exit {0 if venv else 1};;"
    program(directory, name, f'case "$2" in {answers} esac')


def test_all_that_is_missing_is_named_in_one_message_with_what_installs_it(
    set_up: SetUp, clone: Path
) -> None:
    done = set_up()
    assert done.returncode == 3
    for words in ("git: apt-get install git", "a C++ compiler: apt-get install g++", "Python 3.8"):
        assert words in done.stderr
    assert not (clone / ".venv").exists()


def test_only_what_is_missing_is_named(set_up: SetUp, programs: Path) -> None:
    program(programs, "git", "true")
    program(programs, "clang++", "true")
    done = set_up()
    assert done.returncode == 3
    assert "git" not in done.stderr
    assert "compiler" not in done.stderr
    assert "apt-get install python3.11 python3.11-venv" in done.stderr


def test_a_python_that_is_too_new_is_not_taken(set_up: SetUp, programs: Path) -> None:
    python(programs, "python3", "3.13")
    assert "Python 3.8, 3.9, 3.10 or 3.11" in set_up().stderr


def test_a_python_without_venv_is_named_with_its_package(set_up: SetUp, programs: Path) -> None:
    python(programs, "python3", "3.11", venv=False)
    assert "apt-get install python3.11-venv" in set_up().stderr


def test_a_step_that_fails_shows_the_end_of_its_log_and_is_not_taken_for_done(
    set_up: SetUp, programs: Path, clone: Path
) -> None:
    program(programs, "git", "true")
    program(programs, "c++", "true")
    program(
        programs,
        "python3.10",
        'case "$*" in *version_info*) echo 3.10;; *ensurepip*) ;; '
        "*) echo no space left; exit 5;; esac",
    )
    done = set_up()
    assert done.returncode == 1
    assert "[1/4] making .venv: failed with exit code 5" in done.stderr
    assert "no space left" in done.stderr
    assert not (clone / ".venv" / "ready.json").exists()


def test_an_environment_is_ready_only_for_what_it_was_made_for(
    clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(clone / "tools"))
    monkeypatch.delitem(sys.modules, "setup_env", raising=False)
    import setup_env

    directory = clone / ".venv"
    (directory / "bin").mkdir(parents=True)
    (directory / "bin" / "python").symlink_to(sys.executable)

    def made_for(what: str) -> setup_env.Environment:
        return setup_env.Environment(directory, sys.executable, [what])

    assert not made_for("Open MPI 4").is_ready()
    made_for("Open MPI 4").note_ready()
    assert made_for("Open MPI 4").is_ready()
    assert not made_for("Open MPI 5").is_ready()
    (clone / "pyproject.toml").write_text("[project]\nname = 'changed'\n")
    assert not made_for("Open MPI 4").is_ready()
    monkeypatch.delitem(sys.modules, "setup_env")


def test_an_unknown_environment_is_exit_2(set_up: SetUp) -> None:
    assert set_up("gpu").returncode == 2

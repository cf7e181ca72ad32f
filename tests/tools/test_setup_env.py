"""Set-up names all that is missing at once, downloads nothing then, and knows when it is done."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Callable, Sequence

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
    def call(what: str = "cpu", *more: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(clone / "tools/setup_env.py"), what, *more],
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


def test_tools_without_venv_is_named_with_its_package_before_anything_is_made(
    set_up: SetUp, clone: Path, tmp_path: Path
) -> None:
    (tmp_path / "ensurepip.py").write_text("raise ImportError('as Debian has it')\n")
    done = set_up("tools", PYTHONPATH=str(tmp_path))
    assert done.returncode == 3
    version = ".".join(str(part) for part in sys.version_info[:2])
    assert f"apt-get install python{version}-venv" in done.stderr
    assert list(clone.glob(".venv*")) == []


def with_default_signals() -> None:
    """In a child: nothing is ignored, though a shell's background or nohup may have it so here."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interruption_is_one_line_and_ends_the_step_and_all_that_it_started(
    clone: Path, programs: Path, number: int
) -> None:
    program(programs, "git", "true")
    program(programs, "c++", "true")
    # The step's compiler holds the pipe open until it is gone.
    step = f"{shutil.which('sleep')} 600 <&3 & echo started >&3; wait"
    answers = f"*version_info*) echo 3.10;; *ensurepip*) ;; *) exec 3>{clone}/pipe; {step};;"
    program(programs, "python3.10", f'case "$*" in {answers} esac')
    os.mkfifo(clone / "pipe")
    process = subprocess.Popen(
        [sys.executable, str(clone / "tools/setup_env.py"), "cpu"],
        stderr=subprocess.PIPE,
        text=True,
        env={"PATH": str(programs), "HOME": str(clone)},
        preexec_fn=with_default_signals,
    )
    with (clone / "pipe").open() as pipe:
        assert pipe.readline() == "started\n"
        process.send_signal(number)
        assert pipe.read() == ""
    _, said = process.communicate()
    assert process.returncode == 128 + number
    assert said.splitlines() == [
        "[1/4] making .venv",
        "interrupted; run make again: it starts afresh",
    ]


def test_of_two_that_build_the_same_wheel_the_first_keeps_its_place(
    clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(clone / "tools"))
    monkeypatch.delitem(sys.modules, "setup_env", raising=False)
    import setup_env

    class Builder(setup_env.Steps):
        """Builds a wheel in a moment; while it does, another clone builds the same."""

        def __init__(self, name: str, meanwhile: Callable[[], None]) -> None:
            super().__init__(1, tmp_path / f"{name}.log")
            self._name = name
            self._meanwhile = meanwhile

        def run(self, what: str, command: list, variables: object = None) -> None:
            directory = Path(command[command.index("--wheel-dir") + 1])
            self._meanwhile()
            (directory / "horovod-0-any.whl").write_text(self._name)

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    environment = setup_env.Environment(clone / ".venv", sys.executable, [])
    (clone / ".venv/bin").mkdir(parents=True)
    (clone / ".venv/bin/python").symlink_to(sys.executable)

    def build(name: str, meanwhile: Callable[[], None] = lambda: None) -> Path:
        found = setup_env.build_horovod(
            environment, setup_env.TENSORFLOW, "wheel", Builder(name, meanwhile)
        )
        assert found.is_file()
        return Path(found)

    wheels = []
    wheels.append(build("slow", meanwhile=lambda: wheels.append(build("fast"))))
    wheels.append(build("later"))
    assert len(set(wheels)) == 1
    assert wheels[0].read_text() == "fast"
    assert [path.name for path in wheels[0].parent.parent.iterdir()] == [wheels[0].parent.name]
    monkeypatch.delitem(sys.modules, "setup_env")


@pytest.mark.parametrize(
    "arguments", [("gpu",), ("cpu", "2.x"), ("cpu", "../2.15.1"), ("cpu", "2.15.1", "2.9.1"),
                  ("tools", "2.15.1")]
)  # fmt: skip
def test_an_unknown_environment_is_exit_2(set_up: SetUp, arguments: Sequence[str]) -> None:
    assert set_up(*arguments).returncode == 2


def test_another_tensorflow_has_an_environment_of_its_own(
    set_up: SetUp, programs: Path, clone: Path
) -> None:
    program(programs, "git", "true")
    program(programs, "c++", "true")
    answers = "*version_info*) echo 3.10;; *ensurepip*) ;; *) exit 7;;"
    program(programs, "python3.10", f'case "$*" in {answers} esac')
    done = set_up("cpu", "2.15.1")
    assert "making .venv-tf2.15.1: failed with exit code 7" in done.stderr
    assert (clone / ".venv-tf2.15.1-setup.log").is_file()

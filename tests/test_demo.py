from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Iterator, Tuple

import pytest

from bertkit import demo
from bertkit.cli import bertkit as cli
from bertkit.cli.common import exit_code_of
from bertkit.upstream import source
from bertkit.upstream.lock import Lock, write_lock


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
        ["bertkit", "train"],
    ]
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_can_be_read_by_a_program(tmp_path: Path) -> None:
    arguments = ("--upstream", "standin", "--dry-run", "--json", "--dir", "my demo")
    done = bertkit("demo", *arguments, cwd=tmp_path)
    found = json.loads(done.stdout)
    assert len(found) == 6
    assert found[1]["command"] == ["bertkit", "data", "sample", "--data", "my demo/data"]
    assert "data set" in found[1]["title"]


def test_the_commands_are_quoted_as_a_shell_needs_it(tmp_path: Path) -> None:
    arguments = ("--upstream", "standin", "--dry-run", "--dir", "my demo")
    done = bertkit("demo", *arguments, cwd=tmp_path)
    assert shlex.split(done.stdout.splitlines()[1])[-1] == "my demo/data"


@pytest.fixture
def unreachable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A place without configuration, from which the default upstream refuses connections."""
    for name in ("BERTKIT_UPSTREAM", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.chdir(tmp_path)
    with socket.socket() as taken:  # bound and not listening: nobody else answers there
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setattr(
            source, "DEFAULT_URL", f"https://127.0.0.1:{taken.getsockname()[1]}/upstream"
        )
        yield tmp_path


def dry_run() -> int:
    return exit_code_of(cli, ["demo", "--dry-run"])


def test_where_github_cannot_be_reached_the_stand_in_takes_its_place_with_one_line(
    unreachable: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dry_run() == 0
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    assert "going on with the built-in stand-in" in said.err
    assert f"{source.DEFAULT_URL} cannot be reached" in said.err
    assert "--upstream standin" in said.out


def test_a_checkout_that_is_there_is_used_without_a_server(
    unreachable: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tree = Path("demo/Model-References")
    tree.mkdir(parents=True)
    write_lock(tree, Lock(url="https://example.org/x", release="1.13.0", commit="0" * 40))
    assert dry_run() == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert "standin" not in said.out


def test_a_configured_upstream_is_never_replaced(
    unreachable: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BERTKIT_UPSTREAM", str(unreachable / "nowhere"))
    assert dry_run() == 5
    assert "no upstream repository at this path" in capsys.readouterr().err
    no_repository = unreachable / "empty"
    no_repository.mkdir()
    done = bertkit("demo", cwd=unreachable, BERTKIT_UPSTREAM=str(no_repository))
    assert done.returncode == 5
    assert "there is no upstream repository at this address" in done.stderr
    assert "stand-in" not in done.stderr


def test_a_configured_stand_in_has_a_checkout_of_its_own(
    unreachable: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BERTKIT_UPSTREAM", "standin")
    assert dry_run() == 0
    assert "demo/Model-References-standin " in capsys.readouterr().out


def test_without_git_the_demo_says_that(
    unreachable: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(unreachable))
    assert dry_run() == 3
    assert "git is not installed" in capsys.readouterr().err


def test_a_second_demo_keeps_the_results_of_the_first(tmp_path: Path) -> None:
    assert demo.fresh_results(tmp_path, make=False) == tmp_path / "results" / "1"
    assert demo.fresh_results(tmp_path, make=True) == tmp_path / "results" / "1"
    assert demo.fresh_results(tmp_path, make=True) == tmp_path / "results" / "2"


def test_results_that_cannot_be_written_are_exit_code_3(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = bertkit("demo", "--upstream", "standin", "--dir", "file", cwd=tmp_path)
    assert done.returncode == 3
    assert "the demo's results cannot be written" in done.stderr


# Stands where `train` would: takes its time to end in good order, and notes what reached it.
SLOW_STEP = """
import signal, sys, time
came = []
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, lambda number, _: came.append(number))
print("ready", file=sys.stderr, flush=True)
while not came:
    time.sleep(0.01)
time.sleep(1)
print("in good order after", [int(number) for number in came], file=sys.stderr, flush=True)
"""
DRIVER = """
import os, sys
from bertkit import demo
from bertkit.cli.common import exit_code_of
import click
os.chdir(sys.argv[1])
run = click.Command("demo", callback=lambda: demo.run([demo.Step("slow", []), demo.Step("2", [])]))
sys.exit(exit_code_of(run, []))
"""


def with_default_signals() -> None:
    """In a child: nothing is ignored, though a shell's background or nohup may have it so here."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("whole_group", [False, True], ids=["the demo alone", "its whole group"])
def test_a_signal_reaches_the_step_once_and_the_demo_waits_for_its_end(
    tmp_path: Path, number: int, whole_group: bool
) -> None:
    (tmp_path / "steps/bertkit").mkdir(parents=True)
    (tmp_path / "steps/bertkit/__init__.py").touch()
    (tmp_path / "steps/bertkit/__main__.py").write_text(SLOW_STEP)
    (tmp_path / "driver.py").write_text(DRIVER)
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "driver.py"), str(tmp_path / "steps")],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=with_default_signals,
    )
    assert process.stderr is not None
    assert process.stderr.readline() == "ready\n"
    (os.killpg if whole_group else os.kill)(process.pid, number)
    said = process.stderr.read()
    assert process.wait() == 128 + number
    assert f"in good order after [{int(number)}]" in said
    assert "interrupted at step 1 of 2" in said


def test_a_step_that_fails_ends_the_demo_with_its_exit_code(tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "Model-References-standin").mkdir()
    (tmp_path / "demo" / "Model-References-standin" / "mine.txt").write_text("not bertkit's")
    done = bertkit("demo", "--upstream", "standin", cwd=tmp_path)
    assert done.returncode == 3
    assert "ended at step 1 of 6" in done.stderr


@pytest.fixture(scope="module")
def whole_demo(
    tmp_path_factory: pytest.TempPathFactory,
) -> Tuple[Path, subprocess.CompletedProcess[str]]:
    """Where a whole demo on the stand-in was made, and what it said."""
    pytest.importorskip("tensorflow")
    pytest.importorskip("horovod")
    directory = tmp_path_factory.mktemp("whole")
    done = bertkit("demo", "--upstream", "standin", "--json", cwd=directory)
    assert done.returncode == 0, done.stderr[-3000:]
    return directory, done


@pytest.mark.tensorflow
def test_the_demo_goes_the_whole_way_on_the_stand_in(
    whole_demo: Tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    directory, done = whole_demo
    phase1, phase2, mrpc, squad = json.loads(done.stdout)
    assert (phase1["ranks"], phase1["device"], phase1["model"]) == (2, "cpu", "tiny")
    assert phase1["last_loss"] < phase1["first_loss"]
    assert Path(phase2["checkpoint"] + ".index").is_file()
    assert "accuracy" in json.dumps(mrpc["evaluation"])
    assert set(squad["evaluation"]) == {"exact_match", "f1"}

    record = json.loads((directory / "demo/results/1/phase2/.bertkit/run.json").read_text())
    assert record["plan"]["starts_from"] == phase1["checkpoint"]
    assert record["lock"]["url"] == "standin"
    assert "this is a CPU run" in done.stderr


@pytest.mark.tensorflow
def test_the_stand_in_trains_on_packed_records_and_evaluates_on_plain_ones(
    whole_demo: Tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    directory = whole_demo[0] / "demo"
    data = ("--data", str(directory / "data"))
    packed = bertkit("data", "pack", *data, "--phase", "1", cwd=directory)
    assert packed.returncode == 0, packed.stderr
    done = bertkit(
        "train", "--phase", "1", "--packed", "--eval", "--model", "tiny", "--device", "cpu",
        "--repo", "Model-References-standin", *data, "--output", "packed", "--steps", "2",
        "--json", cwd=directory,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert 0 < json.loads(done.stdout)["evaluation"]["masked_lm_loss"] < 20

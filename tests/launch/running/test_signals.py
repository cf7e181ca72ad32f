"""Signals, terminals that close, and kills of whatever stands between bertkit and the ranks."""

from __future__ import annotations

import dataclasses
import json
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Callable, Iterator, List

import pytest

from bertkit.launch.plan import Plan, Request, make_plan
from bertkit.launch.running import record
from tests.launch.runs import (
    alive,
    children_of,
    needs_mpirun,
    record_of,
    script,
    start,
    wait_for,
    with_in_command_line,
)
from tests.real.two_hosts import TwoHosts, two_hosts, why_not

RequestFor = Callable[..., Request]
STAYS = "here(); report(1); time.sleep(600)"


@pytest.fixture
def plan_with(repo: Path, request_for: RequestFor) -> Callable[..., Plan]:
    def make(then: str, **changes: object) -> Plan:
        (repo / "TensorFlow/nlp/bert/run_pretraining.py").write_text(script(then))
        return make_plan(request_for("phase1", **changes), os.environ)

    return make


def ranks_of(plan: Plan) -> List[int]:
    return [wait_for(Path(plan.output) / f"pid{rank}") for rank in range(plan.ranks)]


def nothing_is_left_of(plan: Plan) -> None:
    """Within seconds: the kernel's and mpirun's ways take a moment, on other hosts too."""
    deadline = time.monotonic() + 60
    while with_in_command_line(plan.output):
        assert time.monotonic() < deadline, with_in_command_line(plan.output)
        time.sleep(0.05)


def on_a_terminal(plan: Plan, repo: Path) -> tuple[subprocess.Popen[bytes], int]:
    """bertkit as the foreground program of a terminal of its own, and the terminal's other end."""
    master, slave = pty.openpty()
    before = (
        "import fcntl, os, termios\n"
        "os.setsid()\n"
        f"fcntl.ioctl({slave}, termios.TIOCSCTTY, 0)\n"
        f"[os.dup2({slave}, n) for n in (0, 1, 2)]\n"
        f"os.close({slave})"
    )
    supervisor = start(plan, repo, before=before, pass_fds=(slave,))
    os.close(slave)
    return supervisor, master


def test_ctrl_c_on_a_terminal_ends_all_ranks(plan_with: Callable[..., Plan], repo: Path) -> None:
    plan = plan_with(STAYS)
    supervisor, master = on_a_terminal(plan, repo)
    (rank,) = ranks_of(plan)
    os.write(master, termios.tcgetattr(master)[6][termios.VINTR])
    assert supervisor.wait(timeout=60) == 128 + signal.SIGINT
    assert not alive(rank)
    os.close(master)


def test_a_terminal_that_closes_ends_all_ranks(plan_with: Callable[..., Plan], repo: Path) -> None:
    plan = plan_with(STAYS)
    supervisor, master = on_a_terminal(plan, repo)
    (rank,) = ranks_of(plan)
    os.close(master)
    assert supervisor.wait(timeout=60) == 128 + signal.SIGHUP
    nothing_is_left_of(plan)
    assert not alive(rank)
    assert record_of(plan)["exit_code"] == 128 + signal.SIGHUP


def test_a_terminal_that_closes_does_not_end_a_run_under_nohup(
    plan_with: Callable[..., Plan], repo: Path
) -> None:
    plan = plan_with(
        "here(); report(1)\n"
        "while not os.path.exists(flags['output_dir'] + '/go on'): time.sleep(0.05)\n"
        "report(2); save()"
    )
    master, slave = pty.openpty()
    (Path(plan.output)).mkdir(parents=True)
    with (Path(plan.output) / "nohup.out").open("wb") as out:
        supervisor = start(
            plan, repo, before="signal.signal(signal.SIGHUP, signal.SIG_IGN)",
            stdin=slave, stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        ranks_of(plan)
        os.close(slave)
        os.close(master)
        supervisor.send_signal(signal.SIGHUP)
        (Path(plan.output) / "go on").touch()
        assert supervisor.wait(timeout=60) == 0
    assert record_of(plan)["state"] == "done"


def test_the_record_of_a_killed_bertkit_tells_that_it_was_killed(
    plan_with: Callable[..., Plan], repo: Path
) -> None:
    plan = plan_with(STAYS)
    supervisor = start(plan, repo)
    ranks_of(plan)
    running = record.read(Path(plan.output))
    assert running is not None
    assert running["state"] == "running"
    supervisor.kill()
    supervisor.wait()
    nothing_is_left_of(plan)
    assert record_of(plan)["state"] == "running"  # nobody was left to write anything else
    killed = record.read(Path(plan.output))
    assert killed is not None
    assert killed["state"] == "killed"


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoHosts]:
    trouble = why_not()
    if trouble:
        pytest.skip(f"no two hosts on this machine: {trouble}")
    with two_hosts(tmp_path_factory.mktemp("hosts"), slots=2) as made:
        yield made


@needs_mpirun
@pytest.mark.parametrize(
    ("killed", "code"),
    [("bertkit", -9), ("mpirun", 128 + 9), ("daemon", 1), ("rank", 128 + 9), ("term", 128 + 15)],
)
def test_nothing_is_left_on_two_hosts(
    plan_with: Callable[..., Plan], repo: Path, hosts: TwoHosts, killed: str, code: int,
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    for name, value in hosts.environment().items():
        monkeypatch.setenv(name, value)
    plan = plan_with(STAYS, cards=4)
    plan = dataclasses.replace(plan, argv=tuple(hosts.command(plan.argv)))
    supervisor = start(plan, repo)
    ranks = ranks_of(plan)
    (mpirun,) = children_of(supervisor.pid)
    if killed == "bertkit":
        supervisor.kill()
    elif killed == "mpirun":
        os.kill(mpirun, signal.SIGKILL)
    elif killed == "daemon":  # of the second host: what its ranks' wrappers were started by
        note = json.loads((Path(plan.run_directory) / "ranks/3.start").read_text())
        os.kill(parent_of(int(note["wrapper"])), signal.SIGKILL)
    elif killed == "rank":
        os.kill(ranks[3], signal.SIGKILL)
    else:
        supervisor.terminate()
    assert supervisor.wait(timeout=60) == code
    nothing_is_left_of(plan)
    assert not any(alive(rank) for rank in ranks)
    said = capfd.readouterr().err
    if killed == "rank":
        assert "rank 3 on host2: ended by SIGKILL" in said
    if killed == "daemon":
        assert "failed" in said
        assert "a host cannot be reached, or its daemon ended" in said


@needs_mpirun
def test_a_stopped_rank_of_another_host_is_named_without_shared_storage(
    plan_with: Callable[..., Plan], repo: Path, hosts: TwoHosts, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    from bertkit.launch.running.attempts import Supervision

    for name, value in hosts.environment().items():
        monkeypatch.setenv(name, value)
    # Each host gets a run directory of its own in the place of the shared one.
    plan = plan_with("everybody_is_here(4); report(1); time.sleep(600)", cards=4)
    run_directory = Path(plan.run_directory)
    (tmp_path / "elsewhere/dllog").mkdir(parents=True)
    mover = tmp_path / "mover"
    mover.write_text(
        "#!/bin/sh\n"
        f'[ "$(hostname)" = host2 ] && mount --bind {tmp_path}/elsewhere {run_directory}\n'
        'exec "$@"\n'
    )
    mover.chmod(0o755)
    first = plan.argv.index(sys.executable)
    argv = [*plan.argv[:first], "unshare", "--mount", str(mover), *plan.argv[first:]]
    plan = dataclasses.replace(plan, argv=tuple(hosts.command(argv)))
    supervisor = start(plan, repo, supervision=Supervision(stall_timeout=5.0))
    os.kill(ranks_of(plan)[3], signal.SIGSTOP)
    assert supervisor.wait(timeout=60) == 124
    nothing_is_left_of(plan)
    assert "rank 3 on host2 is stopped: the script" in capfd.readouterr().err
    assert not (run_directory / "ranks/3.log").exists()
    assert "most recent call first" in (run_directory / "ranks/3.stack").read_text()


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])

"""A run from start to end: small scripts in place of upstream's, real processes and signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Callable

import pytest

from bertkit.errors import BertkitError, RunFailed
from bertkit.launch import train
from bertkit.launch.plan import Plan, Request, make_plan
from bertkit.upstream.lock import read_lock
from tests.launch.runs import (
    alive,
    children_of,
    needs_mpirun,
    record_of,
    script,
    start,
    wait_for,
    wait_for_the_end_of,
)

RequestFor = Callable[..., Request]

#: what every script here does first: three reports
REPORTS = (
    "for step in (1, 2, 3): report(step, 11.0 - step)\n"
    "print('working in', os.getcwd(), flush=True)\n"
)

#: a script's end that notes its process and stays
STAYS = "here(); time.sleep(600)"


@pytest.fixture
def plan_with(repo: Path, request_for: RequestFor) -> Callable[..., Plan]:
    """A plan for phase 1 whose script ends with the given lines."""

    def make(then: str, **changes: object) -> Plan:
        (repo / "TensorFlow/nlp/bert/run_pretraining.py").write_text(script(REPORTS + then))
        return make_plan(request_for("phase1", **changes), os.environ)

    return make


def test_a_run_that_ends_well_has_metrics_a_record_and_a_checkpoint(
    plan_with: Callable[..., Plan], repo: Path
) -> None:
    plan = plan_with("save()")
    result = train.execute(plan, read_lock(repo))
    assert (result.first_loss, result.last_loss) == (10.0, 8.0)
    assert result.checkpoint is not None
    assert result.checkpoint.endswith("model.ckpt-7")

    metrics = (Path(plan.run_directory) / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in metrics] == [1, 2, 3]
    record = record_of(plan)
    assert (record["state"], record["exit_code"]) == ("done", 0)
    assert record["plan"]["argv"] == list(plan.argv)
    assert record["lock"]["release"] == "1.13.0"
    assert record["data"]["training_records"]["files"] == 8
    log = (Path(plan.run_directory) / "ranks/0.log").read_text()
    assert f"working in {repo / 'TensorFlow/nlp/bert'}" in log


def test_a_rank_that_fails_passes_on_its_own_code_and_its_last_words(
    plan_with: Callable[..., Plan], repo: Path
) -> None:
    plan = plan_with("print('no more room'); sys.exit(41)")
    with pytest.raises(RunFailed, match="rank 0 on .*: exit code 41") as failure:
        train.execute(plan, read_lock(repo))
    assert failure.value.exit_code == 41
    assert failure.value.why == "no more room"
    record = record_of(plan)
    assert (record["state"], record["exit_code"]) == ("failed", 41)
    assert "no more room" in record["result"]["failure"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT])
def test_a_rank_ended_by_a_signal_is_128_and_its_number_by_name(
    plan_with: Callable[..., Plan], repo: Path, number: signal.Signals
) -> None:
    plan = plan_with(f"os.kill(os.getpid(), {int(number)})")
    with pytest.raises(RunFailed, match=f"ended by {number.name}") as failure:
        train.execute(plan, read_lock(repo))
    assert failure.value.exit_code == 128 + number


def test_a_run_without_a_checkpoint_at_its_end_is_no_success(
    plan_with: Callable[..., Plan], repo: Path
) -> None:
    with pytest.raises(RunFailed, match="left no whole checkpoint"):
        train.execute(plan_with("pass"), read_lock(repo))


def test_an_earlier_attempts_logs_are_kept_apart(
    plan_with: Callable[..., Plan], repo: Path
) -> None:
    for words in ("first", "second"):
        plan = plan_with(f"print('the {words} attempt'); sys.exit(1)")
        with pytest.raises(RunFailed):
            train.execute(plan, read_lock(repo))
    run_directory = Path(plan.run_directory)
    assert "the second attempt" in (run_directory / "ranks/0.log").read_text()
    assert "first" not in (run_directory / "ranks/0.log").read_text()
    assert "the first attempt" in (run_directory / "earlier/1/ranks/0.log").read_text()
    assert json.loads((run_directory / "earlier/1/run.json").read_text())["state"] == "failed"


def test_a_record_is_there_while_the_run_is_still_going(
    plan_with: Callable[..., Plan], repo: Path
) -> None:
    plan = plan_with(
        "from pathlib import Path\n"
        "run = Path(flags['dllog_path']).parent.parent\n"
        "assert json.loads((run / 'run.json').read_text())['state'] == 'running'\n"
        "save()"
    )
    train.execute(plan, read_lock(repo))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_all_ranks_and_leaves_no_process(
    plan_with: Callable[..., Plan], repo: Path, data: Path, number: signal.Signals
) -> None:
    plan = plan_with(STAYS)
    supervisor = start(plan, repo)
    pid = wait_for(Path(plan.output) / "pid0")
    supervisor.send_signal(number)
    assert supervisor.wait(timeout=60) == 128 + number
    assert not alive(pid)
    assert record_of(plan)["state"] == "failed"


#: a script's end that takes no SIGTERM, and says when it got one
STUBBORN = (
    "note = flags['output_dir'] + '/told'\n"
    "signal.signal(signal.SIGTERM, lambda *_: open(note, 'w').write('1'))\n" + STAYS + "\n"
    "while True: time.sleep(600)"
)


def test_ranks_that_ignore_the_signal_are_killed_at_the_second_one(
    plan_with: Callable[..., Plan], repo: Path
) -> None:
    plan = plan_with(STUBBORN)
    supervisor = start(plan, repo)
    pid = wait_for(Path(plan.output) / "pid0")
    supervisor.terminate()
    wait_for(Path(plan.output) / "told")
    assert alive(pid)
    supervisor.terminate()
    assert supervisor.wait(timeout=60) == 128 + signal.SIGTERM
    assert not alive(pid)


def test_ranks_that_ignore_the_signal_are_killed_after_a_time(
    plan_with: Callable[..., Plan], repo: Path
) -> None:
    plan = plan_with(STUBBORN)
    supervisor = start(plan, repo, grace=0.5)
    pid = wait_for(Path(plan.output) / "pid0")
    supervisor.terminate()
    assert supervisor.wait(timeout=60) == 128 + signal.SIGTERM
    assert not alive(pid)


def test_a_hang_up_that_is_ignored_stays_so(plan_with: Callable[..., Plan], repo: Path) -> None:
    plan = plan_with(STAYS.replace("time.sleep(600)", "time.sleep(2); save()"))
    supervisor = start(plan, repo, before="signal.signal(1, signal.SIG_IGN)")
    wait_for(Path(plan.output) / "pid0")
    supervisor.send_signal(signal.SIGHUP)
    assert supervisor.wait(timeout=60) == 0


def test_a_second_run_in_the_same_directory_is_refused_and_harms_nothing(
    plan_with: Callable[..., Plan], repo: Path
) -> None:
    plan = plan_with(STAYS)
    first = start(plan, repo)
    pid = wait_for(Path(plan.output) / "pid0")
    record = record_of(plan)
    with pytest.raises(BertkitError, match="already under way") as refusal:
        train.execute(plan, read_lock(repo))
    assert f"process {first.pid}" in str(refusal.value)
    assert record_of(plan) == record
    assert alive(pid)
    first.terminate()
    first.wait(timeout=60)


@pytest.mark.parametrize("cards", [1, pytest.param(2, marks=needs_mpirun)])
def test_no_rank_outlives_a_killed_bertkit(
    plan_with: Callable[..., Plan], repo: Path, cards: int
) -> None:
    plan = plan_with(STAYS, cards=cards)
    supervisor = start(plan, repo)
    pids = [wait_for(Path(plan.output) / f"pid{rank}") for rank in range(cards)]
    supervisor.kill()
    supervisor.wait()
    for pid in pids:
        wait_for_the_end_of(pid)


def test_a_rank_dies_with_its_wrapper_even_by_sigkill(
    plan_with: Callable[..., Plan], repo: Path
) -> None:
    plan = plan_with(STAYS)
    for name in ("ranks", "dllog"):
        (Path(plan.run_directory) / name).mkdir(parents=True)
    wrapper = subprocess.Popen(plan.argv, env=dict(plan.environment), cwd=plan.working_directory)
    pid = wait_for(Path(plan.output) / "pid0")
    wrapper.kill()
    wrapper.wait()
    wait_for_the_end_of(pid)


@needs_mpirun
def test_among_several_ranks_the_one_that_failed_first_is_named(
    plan_with: Callable[..., Plan], repo: Path
) -> None:
    plan = plan_with(
        "if os.environ['OMPI_COMM_WORLD_RANK'] == '2':\n"
        "    print('rank two gives up'); sys.exit(7)\n"
        "time.sleep(600)",
        cards=4,
    )
    with pytest.raises(RunFailed, match="rank 2 on .*: exit code 7") as failure:
        train.execute(plan, read_lock(repo))
    assert failure.value.exit_code == 7
    assert failure.value.why == "rank two gives up"
    logs = sorted(path.name for path in (Path(plan.run_directory) / "ranks").glob("*.log"))
    assert logs == ["0.log", "1.log", "2.log", "3.log"]


@needs_mpirun
def test_no_rank_outlives_a_killed_mpirun(plan_with: Callable[..., Plan], repo: Path) -> None:
    plan = plan_with(STAYS, cards=2)
    supervisor = start(plan, repo)
    pids = [wait_for(Path(plan.output) / f"pid{rank}") for rank in range(2)]
    (mpirun,) = children_of(supervisor.pid)
    os.kill(mpirun, signal.SIGKILL)
    assert supervisor.wait(timeout=60) == 128 + signal.SIGKILL
    assert not any(alive(pid) for pid in pids)

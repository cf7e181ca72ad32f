"""A run from start to end: small scripts in place of upstream's, real processes and signals."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest

from bertkit.errors import BertkitError, RunFailed
from bertkit.launch import train
from bertkit.launch.plan import Plan, Request, make_plan
from bertkit.upstream.lock import read_lock

RequestFor = Callable[..., Request]
CHECKPOINT = Path(__file__).parent.parent / "fixtures" / "checkpoint"

#: reports as upstream does, leaves a real checkpoint, and then does what the test wants
SCRIPT = """
import json, os, shutil, signal, sys, time
flags = dict(flag[2:].split("=", 1) for flag in sys.argv[1:] if "=" in flag)
with open(flags["dllog_path"], "w") as log:
    for step in (1, 2, 3):
        data = {"total_loss": 11.0 - step, "mlm_loss": 10.0, "nsp_loss": 0.7,
                "learning_rate": "0.001", "throughput_train": 5.0 * step}
        log.write("DLLL " + json.dumps({"type": "LOG", "step": step + 1, "data": data}) + "\\n")
print("working in", os.getcwd(), flush=True)
def save():
    for part in os.listdir(%(checkpoint)r):
        shutil.copy(os.path.join(%(checkpoint)r, part), flags["output_dir"])
%(then)s
"""

#: a script's end that notes its process and stays
STAYS = "open(flags['output_dir'] + '/pid', 'w').write(str(os.getpid()))\ntime.sleep(600)"

STAYS_BY_RANK = (
    "rank = os.environ.get('OMPI_COMM_WORLD_RANK', '0')\n"
    "open(flags['output_dir'] + '/pid' + rank, 'w').write(str(os.getpid()))\ntime.sleep(600)"
)

needs_mpirun = pytest.mark.skipif(
    not (shutil.which("mpirun") or (Path(sys.executable).parent / "mpirun").exists()),
    reason="needs mpirun: make test brings one",
)


@pytest.fixture
def plan_with(repo: Path, request_for: RequestFor) -> Callable[..., Plan]:
    """A plan for phase 1 whose script ends with the given lines."""

    def make(then: str, **changes: object) -> Plan:
        script = repo / "TensorFlow/nlp/bert/run_pretraining.py"
        script.write_text(SCRIPT % {"checkpoint": str(CHECKPOINT), "then": then})
        return make_plan(request_for("phase1", **changes), os.environ)

    return make


def record_of(plan: Plan) -> Dict[str, Any]:
    value: Dict[str, Any] = json.loads((Path(plan.run_directory) / "run.json").read_text())
    return value


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
    plan = plan_with(
        "open(flags['output_dir'] + '/pid', 'w').write(str(os.getpid()))\ntime.sleep(600)"
    )
    supervisor = start_in_a_process(plan, repo)
    pid = wait_for(Path(plan.output) / "pid")
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
    supervisor = start_in_a_process(plan, repo)
    pid = wait_for(Path(plan.output) / "pid")
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
    supervisor = start_in_a_process(plan, repo, grace=0.5)
    pid = wait_for(Path(plan.output) / "pid")
    supervisor.terminate()
    assert supervisor.wait(timeout=60) == 128 + signal.SIGTERM
    assert not alive(pid)


def test_a_hang_up_that_is_ignored_stays_so(plan_with: Callable[..., Plan], repo: Path) -> None:
    plan = plan_with(STAYS.replace("time.sleep(600)", "time.sleep(2); save()"))
    supervisor = start_in_a_process(plan, repo, before="signal.signal(1, signal.SIG_IGN)")
    wait_for(Path(plan.output) / "pid")
    supervisor.send_signal(signal.SIGHUP)
    assert supervisor.wait(timeout=60) == 0


def test_a_second_run_in_the_same_directory_is_refused_and_harms_nothing(
    plan_with: Callable[..., Plan], repo: Path
) -> None:
    plan = plan_with(STAYS)
    first = start_in_a_process(plan, repo)
    pid = wait_for(Path(plan.output) / "pid")
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
    plan = plan_with(STAYS_BY_RANK, cards=cards)
    supervisor = start_in_a_process(plan, repo)
    pids = [wait_for(Path(plan.output) / f"pid{rank}") for rank in range(cards)]
    supervisor.kill()
    supervisor.wait()
    for pid in pids:
        wait_for_the_end_of(pid)


def test_a_rank_dies_with_its_wrapper_even_by_sigkill(
    plan_with: Callable[..., Plan], repo: Path
) -> None:
    plan = plan_with(
        "open(flags['output_dir'] + '/pid', 'w').write(str(os.getpid()))\ntime.sleep(600)"
    )
    for name in ("ranks", "dllog"):
        (Path(plan.run_directory) / name).mkdir(parents=True)
    wrapper = subprocess.Popen(plan.argv, env=dict(plan.environment), cwd=plan.working_directory)
    pid = wait_for(Path(plan.output) / "pid")
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
    plan = plan_with(STAYS_BY_RANK, cards=2)
    supervisor = start_in_a_process(plan, repo)
    pids = [wait_for(Path(plan.output) / f"pid{rank}") for rank in range(2)]
    (mpirun,) = children_of(supervisor.pid)
    os.kill(mpirun, signal.SIGKILL)
    assert supervisor.wait(timeout=60) == 128 + signal.SIGKILL
    assert not any(alive(pid) for pid in pids)


def start_in_a_process(
    plan: Plan, repo: Path, *, grace: float = 60.0, before: str = ""
) -> subprocess.Popen[bytes]:
    """A process of its own that runs the plan as ``bertkit train`` does, to send signals to."""
    code = (
        "import json, signal, sys\n"
        "from pathlib import Path\n"
        "from bertkit.errors import RunFailed\n"
        "from bertkit.launch import supervise, train\n"
        "from bertkit.launch.plan import Derivation, Plan\n"
        "from bertkit.upstream.lock import read_lock\n"
        f"{before}\n"
        f"supervise.GRACE = {grace}\n"
        "value = json.loads(sys.argv[1])\n"
        "value['derivations'] = [Derivation(**each) for each in value['derivations']]\n"
        "try:\n"
        "    train.execute(Plan(**value), read_lock(Path(sys.argv[2])))\n"
        "except RunFailed as failure:\n"
        "    sys.exit(failure.exit_code)\n"
    )
    arguments: List[str] = [sys.executable, "-c", code, json.dumps(plan.as_dict()), str(repo)]
    return subprocess.Popen(arguments)


def children_of(pid: int) -> List[int]:
    """The processes that *pid* started."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(stat.read_text().rsplit(")", 1)[1].split()[1]) == pid:
                found.append(int(stat.parent.name))
    return found


def wait_for_the_end_of(pid: int) -> None:
    deadline = time.monotonic() + 60
    while alive(pid):
        assert time.monotonic() < deadline, f"process {pid} is still there"
        time.sleep(0.05)


def wait_for(path: Path) -> int:
    deadline = time.monotonic() + 60
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < deadline, f"{path} never came"
        time.sleep(0.05)
    return int(path.read_text())


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"

"""What can happen to a run overnight, done for real: how it ends, what it says, what is left."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Callable, Iterator

import pytest

from bertkit.errors import RunFailed
from bertkit.launch import train
from bertkit.launch.plan import Plan, Request, make_plan
from bertkit.launch.running import attempts, follow
from bertkit.launch.running.attempts import Supervision
from bertkit.upstream.lock import read_lock
from tests.launch.runs import needs_mpirun, record_of, script, start, with_in_command_line

RequestFor = Callable[..., Request]


@pytest.fixture
def plan_with(repo: Path, request_for: RequestFor) -> Callable[..., Plan]:
    """A plan for phase 1 whose script ends with the given lines."""

    def make(then: str, **changes: object) -> Plan:
        (repo / "TensorFlow/nlp/bert/run_pretraining.py").write_text(script(then))
        return make_plan(request_for("phase1", **changes), os.environ)

    return make


def failure_of(plan: Plan, repo: Path, **how: float) -> RunFailed:
    """How the run of *plan* fails; none of its processes may be left."""
    with pytest.raises(RunFailed) as failure:
        train.execute(plan, read_lock(repo), Supervision(**how))  # type: ignore[arg-type]
    assert with_in_command_line(plan.output) == set()
    return failure.value


@needs_mpirun
def test_a_stopped_rank_ends_the_run_with_124_and_is_named(
    plan_with: Callable[..., Plan], repo: Path
) -> None:
    plan = plan_with(
        "def waits():\n"
        "    time.sleep(600)\n"
        "report(1); save(); everybody_is_here(2)\n"
        "if rank == '1': os.kill(os.getpid(), signal.SIGSTOP)\n"
        "waits()",
        cards=2,
    )
    failure = failure_of(plan, repo, stall_timeout=5.0)
    assert failure.exit_code == 124
    assert "rank 1 on" in failure.what
    assert "is stopped: the script, process" in failure.what
    assert failure.why is not None
    assert "rank 0 on" in failure.why
    assert "waits (bert/run_pretraining.py:" in failure.why
    ranks = Path(plan.run_directory) / "ranks"
    for rank in (0, 1):
        assert "most recent call first" in (ranks / f"{rank}.stack").read_text()
    assert record_of(plan)["exit_code"] == 124


@needs_mpirun
def test_a_deadlock_leaves_the_stacks_of_all_ranks(
    plan_with: Callable[..., Plan], repo: Path
) -> None:
    plan = plan_with(
        "import threading\n"
        "def rank_waits_for_ever():\n"
        "    threading.Lock().acquire() and threading.Event().wait()\n"
        "everybody_is_here(2)\n"
        "rank_waits_for_ever()",
        cards=2,
    )
    failure = failure_of(plan, repo, stall_timeout=5.0)
    assert failure.exit_code == 124
    for rank in (0, 1):
        stack = (Path(plan.run_directory) / f"ranks/{rank}.stack").read_text()
        assert "rank_waits_for_ever" in stack


def test_a_run_that_makes_steps_is_not_hung(plan_with: Callable[..., Plan], repo: Path) -> None:
    plan = plan_with(
        "for step in range(1, 9):\n"
        "    print('INFO:tensorflow:loss = 9.5, step = %d (0.4 sec)' % step, flush=True)\n"
        "    time.sleep(0.4)\n"
        "save()"
    )
    result = train.execute(plan, read_lock(repo), Supervision(stall_timeout=2.0))
    assert result.checkpoint is not None


@pytest.mark.parametrize("saved", [True, False])
def test_a_lost_loss_is_no_success(plan_with: Callable[..., Plan], repo: Path, saved: bool) -> None:
    plan = plan_with(
        "report(1); report(2); report(3)\n"
        + ("save(2)\n" if saved else "")
        + "report(4, float('nan')); save(5)"
    )
    failure = failure_of(plan, repo)
    assert failure.exit_code == 1
    assert "the loss is not a number any more (step 4)" in failure.what
    said = f"{failure.why} {failure.next_step}"
    assert ("model.ckpt-2" in said) == saved
    assert "model.ckpt-5" not in said
    record = record_of(plan)
    assert (record["state"], record["result"]["good_until"]) == ("failed", 2)


#: ranks that an exception leaves: the other ones end with Horovod's words, and often sooner
SHUTS_DOWN = """
said = flags['output_dir'] + '/said'
if rank == '1':
    print(%r, flush=True); open(said, 'w').close(); time.sleep(600)
while not os.path.exists(said): time.sleep(0.02)
print('errors_impl.UnknownError: Horovod has been shut down. This was caused by')
sys.exit(1)
"""


@needs_mpirun
def test_a_rank_that_ends_because_another_one_left_is_not_the_first(
    plan_with: Callable[..., Plan], repo: Path
) -> None:
    failure = failure_of(plan_with(SHUTS_DOWN % "ValueError: the true cause", cards=2), repo)
    assert failure.exit_code == 1
    assert "rank 1 on" in failure.what
    assert failure.why == "ValueError: the true cause"


@needs_mpirun
def test_a_loss_that_was_lost_on_another_rank_is_no_reason_to_start_again(
    plan_with: Callable[..., Plan], repo: Path
) -> None:
    nan = "hooks.NanLossDuringTrainingError: NaN loss during training."
    trains = "if rank == '0': report(1); report(2); save(1); save(2)\n"
    plan = plan_with(trains + SHUTS_DOWN % nan, cards=2)
    failure = failure_of(plan, repo, max_restarts=3)
    assert failure.exit_code == 1
    assert "the loss is not a number any more (step 3)" in failure.what
    assert "model.ckpt-1" in str(failure.why)
    record = record_of(plan)
    assert (len(record["attempts"]), record["result"]["good_until"]) == (1, 1)


def test_a_run_that_trains_on_with_a_lost_loss_is_ended(
    plan_with: Callable[..., Plan], repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "PATIENCE", 0.2)
    plan = plan_with("report(1); report(2, float('nan')); time.sleep(600)")
    assert failure_of(plan, repo).exit_code == 1


def test_a_checkpoint_from_a_start_that_was_no_number_is_not_recommended(
    plan_with: Callable[..., Plan], repo: Path
) -> None:
    plan = plan_with("save(0); print('Model diverged with loss = NaN.', flush=True); sys.exit(1)")
    failure = failure_of(plan, repo)
    assert "no whole checkpoint from before" in str(failure.why)
    assert "resume" not in str(failure.next_step)
    assert record_of(plan)["result"]["good_until"] == -1


def test_upstreams_own_code_is_passed_on_when_it_gives_up_over_a_lost_loss(
    plan_with: Callable[..., Plan], repo: Path
) -> None:
    plan = plan_with(
        "report(1); report(2, float('nan'))\n"
        "print('tensorflow_estimator...NanLossDuringTrainingError: NaN loss during training.')\n"
        "sys.exit(33)"
    )
    failure = failure_of(plan, repo, max_restarts=3)
    assert failure.exit_code == 33
    assert "not a number" in failure.what
    assert len(record_of(plan)["attempts"]) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="limits as Linux has them")
def test_a_full_disk_is_said_and_the_last_checkpoint_is_still_whole(
    plan_with: Callable[..., Plan], repo: Path
) -> None:
    plan = plan_with(
        "import resource\n"
        "save(3)\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "with open(flags['output_dir'] + '/model.ckpt-6.data-00000-of-00001', 'wb') as part:\n"
        "    part.write(bytes(1 << 20))"
    )
    failure = failure_of(plan, repo, max_restarts=3)
    assert failure.exit_code == 1
    assert "the disk is full" in str(failure.why)
    assert "goes on from step 3" in str(failure.next_step)
    assert len(record_of(plan)["attempts"]) == 1


def test_a_disk_that_is_full_for_logs_and_record_too_is_said(
    plan_with: Callable[..., Plan], repo: Path
) -> None:
    plan = plan_with(
        "save(3); report(1)\n"
        "with open(flags['output_dir'] + '/filler', 'wb', 0) as filler:\n"
        "    while filler.write(bytes(4096)): pass"
    )
    output = Path(plan.output)
    output.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(output)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False).returncode != 0:
        pytest.skip("nothing can be mounted here")
    try:
        failure = failure_of(plan, repo, max_restarts=3)
        assert failure.exit_code == 1
        assert "the disk is full" in str(failure.why)
        assert "from step 3" in str(failure.next_step)
        assert record_of(plan)["state"] == "failed"
        assert "the disk is full" in record_of(plan)["result"]["failure"]
    finally:
        subprocess.run(["umount", str(output)], check=True)


def test_a_rank_without_memory_is_said(plan_with: Callable[..., Plan], repo: Path) -> None:
    plan = plan_with(
        "import resource\n"
        "resource.setrlimit(resource.RLIMIT_AS, (1 << 29, 1 << 29))\n"
        "taken = [bytearray(1 << 26) for _ in range(64)]"
    )
    failure = failure_of(plan, repo)
    assert failure.exit_code == 1
    assert "memory" in str(failure.why)


def test_a_failed_run_starts_again_from_its_last_whole_checkpoint(
    plan_with: Callable[..., Plan], repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "PAUSE", 0.0)
    plan = plan_with(
        "there = os.path.exists(flags['output_dir'] + '/model.ckpt-5.index')\n"
        "report(1); save(5)\n"
        "half = flags['output_dir'] + '/model.ckpt-6'\n"
        "if not there:\n"
        "    open(half + '.index', 'w').close(); os.mkdir(half + '_temp')\n"
        "    print('it breaks', flush=True); os.kill(os.getpid(), signal.SIGKILL)\n"
        "assert not os.path.exists(half + '.index') and not os.path.exists(half + '_temp')\n"
        "assert 'model.ckpt-5' in open(flags['output_dir'] + '/checkpoint').read()\n"
        "save(7)"
    )
    result = train.execute(plan, read_lock(repo), Supervision(max_restarts=1))
    assert result.steps == 7
    record = record_of(plan)
    assert [each["exit_code"] for each in record["attempts"]] == [137, 0]
    assert [each["from_step"] for each in record["attempts"]] == [None, 5]
    earlier = Path(record["attempts"][0]["logs"])
    assert "it breaks" in (earlier / "ranks/0.log").read_text()
    assert (earlier / "checkpoints/model.ckpt-6.index").exists()


def test_restarts_that_are_used_up_pass_on_the_last_code(
    plan_with: Callable[..., Plan], repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "PAUSE", 0.0)
    plan = plan_with(
        "count = flags['output_dir'] + '/count'\n"
        "before = len(open(count).read()) if os.path.exists(count) else 0\n"
        "open(count, 'a').write('x')\n"
        "sys.exit(50 + before)"
    )
    assert failure_of(plan, repo, max_restarts=2).exit_code == 52
    assert [each["exit_code"] for each in record_of(plan)["attempts"]] == [50, 51, 52]


@pytest.mark.parametrize(
    "words",
    [
        "FATAL Flags parsing error: Unknown command line flag 'x'",
        "tensorflow.python.framework.errors_impl.DataLossError: corrupted record at 0",
        "ValueError: Couldn't load: Unsuccessful TensorSliceReader constructor",
    ],
)
def test_what_would_only_happen_again_is_not_started_again(
    plan_with: Callable[..., Plan], repo: Path, words: str
) -> None:
    plan = plan_with(f"print({words!r}); sys.exit(1)")
    assert failure_of(plan, repo, max_restarts=3).exit_code == 1
    assert len(record_of(plan)["attempts"]) == 1


def test_a_cause_is_found_far_before_the_end_of_the_log(
    plan_with: Callable[..., Plan], repo: Path
) -> None:
    """As in TensorFlow 2's errors, which repeat the whole stack of the graph after their words."""
    plan = plan_with(
        "print('errors_impl.DataLossError: corrupted record at 473170')\n"
        "for line in range(120): print('  File \"ops.py\", line', line)\n"
        "sys.exit(1)"
    )
    failure = failure_of(plan, repo, max_restarts=1)
    assert "a file of records is damaged: errors_impl.DataLossError" in str(failure.why)
    assert len(record_of(plan)["attempts"]) == 1


def test_a_killed_rank_is_told_in_words(plan_with: Callable[..., Plan], repo: Path) -> None:
    plan = plan_with("os.kill(os.getpid(), signal.SIGKILL)")
    failure = failure_of(plan, repo)
    assert failure.exit_code == 128 + signal.SIGKILL
    assert "SIGKILL (killed by someone, or by the kernel" in failure.what


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may make cgroups")
def test_a_rank_that_the_kernel_killed_for_want_of_memory_is_told_for_certain(
    plan_with: Callable[..., Plan], repo: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    plan = plan_with("report(1); save()\ntaken = [b'x' * (1 << 22) for _ in range(1000)]")
    with small_cgroup(256 << 20) as enter:
        supervisor = start(plan, repo, preexec_fn=enter)
        assert supervisor.wait(timeout=60) == 128 + signal.SIGKILL
    said = capfd.readouterr().err
    assert "killed by the kernel: out of memory" in said
    assert "more memory" in said


@contextlib.contextmanager
def small_cgroup(limit: int) -> Iterator[Callable[[], None]]:
    """A memory cgroup below this process's own, and what enters it; skips where there is none."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "memory":
            parent, name = Path("/sys/fs/cgroup/memory") / path[1:], "memory.limit_in_bytes"
            break
    else:
        parent, name = Path("/sys/fs/cgroup") / path[1:], "memory.max"
    place = parent / f"bertkit-test-{os.getpid()}"
    try:
        place.mkdir()
    except OSError as error:
        pytest.skip(f"no cgroup of one's own here: {error}")
    try:
        try:
            (place / name).write_text(str(limit))
        except OSError as error:
            pytest.skip(f"no limit on memory here: {error}")

        def enter() -> None:
            (place / "cgroup.procs").write_text(str(os.getpid()))

        yield enter
    finally:
        with contextlib.suppress(OSError):
            place.rmdir()

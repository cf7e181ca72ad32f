"""A launcher that does not see rank 0's files follows the run by what rank 0 tells."""

from __future__ import annotations

import dataclasses
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Callable

import pytest

from bertkit.errors import RunFailed
from bertkit.launch import train
from bertkit.launch.plan import Plan, Request, make_plan, telling
from bertkit.launch.running.attempts import Supervision
from bertkit.launch.running.failure import read_reports
from bertkit.launch.running.told import Told
from bertkit.resources import shipped
from bertkit.upstream.lock import read_lock
from tests.launch.runs import needs_mpirun, record_of, script
from tests.launch.test_roll_call import hides

RequestFor = Callable[..., Request]
PlanWith = Callable[[str], Plan]

NOTE = {"rank": 0, "host": "node0", "time": 1.0, "code": 0, "signal": None, "text": "x" * 600}
LOG = [f"INFO:tensorflow:loss = {number}, step = {number} [0 of 9]" for number in range(200)]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    for name in ("ranks", "dllog"):
        (tmp_path / ".bertkit" / name).mkdir(parents=True)
    return tmp_path / ".bertkit"


def printed(tag: str, *, cut: bool) -> bytes:
    """Two ranks' words as mpirun prints them; Open MPI 4.1 puts a tag where it has cut a line, and
    another rank's words may stand between.
    """
    chance = random.Random(7)
    words = [f"bertkit-rank 0 log {line}\n" for line in LOG]
    words.insert(50, 'bertkit-rank 0 dllog DLLL {"type": "LOG"}\n')
    words.insert(60, f"bertkit-rank 0 note {json.dumps(NOTE)}\n")
    words.append("bertkit-rank 0 eval eval_accuracy = 0.86\n")
    text = "".join(words)
    pieces = []
    while text:
        length = chance.randint(1, 400) if cut else text.index("\n") + 1
        pieces += [f"[{tag},0]<stdout>:" + text[:length].replace("\n", f"\n[{tag},0]<stdout>:")]
        text = text[length:]
        pieces += [f"[{tag},1]<stdout>:bertkit-rank 1 start {{}}\nmpirun: a word of its own\n"]
    return "".join(pieces).encode()


@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize("tag", ["1", "prterun-a.b-123@1"])
def test_what_rank_0_tells_is_written_down_to_the_byte(run: Path, cut: bool, tag: str) -> None:
    told = Told(run)
    told.take()  # nothing is there yet
    text = printed(tag, cut=cut)
    chance = random.Random(8)
    with (run / "mpirun.log").open("ab") as stream:
        while text:
            length = chance.randint(1, 900)
            stream.write(text[:length])
            stream.flush()
            text = text[length:]
            told.take()
    told.close()
    assert (run / "ranks/0.log").read_text().splitlines() == LOG
    assert (run / "dllog/0.json").read_text() == 'DLLL {"type": "LOG"}\n'
    assert (run.parent / "eval_results.txt").read_text() == "eval_accuracy = 0.86\n"
    assert read_reports(run).notes == [NOTE]


@pytest.fixture
def plan_with(repo: Path, request_for: RequestFor, tmp_path: Path) -> Callable[..., Plan]:
    """A plan for two ranks behind mounts of their own: their output directory is elsewhere."""

    def make(then: str, job: str = "phase1") -> Plan:
        scripts = repo / "TensorFlow/nlp/bert"
        (scripts / "run_pretraining.py").write_text(script(then))
        plan = make_plan(request_for(job, cards=2), os.environ)
        Path(plan.output).mkdir(parents=True)
        elsewhere = tmp_path / "elsewhere"
        # What an earlier run of another launcher has left there.
        (elsewhere / ".bertkit/ranks").mkdir(parents=True)
        (elsewhere / ".bertkit/dllog").mkdir()
        (elsewhere / ".bertkit/ranks/0.log").write_text("from an earlier run\n")
        (elsewhere / ".bertkit/dllog/0.json").write_text("from an earlier run\n" * 100)
        mover = tmp_path / "mover"
        mover.write_text(f'#!/bin/sh\nmount --bind {elsewhere} {plan.output}\nexec "$@"\n')
        mover.chmod(0o755)
        plan = telling(plan)
        first = plan.argv.index(sys.executable)
        argv = (*plan.argv[:first], "unshare", "--mount", str(mover), *plan.argv[first:])
        return dataclasses.replace(plan, argv=argv, hosts=("node0",))

    return make


@hides
@needs_mpirun
def test_a_run_is_followed_to_its_end_without_its_files(plan_with: PlanWith, repo: Path) -> None:
    plan = plan_with(
        "everybody_is_here(2)\n"
        "for step in (1, 2, 3): report(step, 11.0 - step)\n"
        "print('x' * 9000, 'the last of its words', flush=True)\n"
        "save()\n"
        "with open(flags['output_dir'] + '/eval_results.txt', 'w') as results:\n"
        "    results.write('loss = 1.5\\n')"
    )
    result = train.execute(plan, read_lock(repo))
    run_directory = Path(plan.run_directory)
    metrics = (run_directory / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in metrics] == [1, 2, 3]
    assert (result.first_loss, result.last_loss, result.steps) == (10.0, 8.0, 7)
    host, _, prefix = (result.checkpoint or "").partition(":")
    assert host == os.uname().nodename
    assert prefix == f"{plan.output}/model.ckpt-7"
    log = (run_directory / "ranks/0.log").read_text()
    assert "x" * 9000 + " the last of its words\n" in log
    assert "from an earlier run" not in log
    assert (Path(plan.output) / "eval_results.txt").read_text() == "loss = 1.5\n"
    assert not (run_directory / "ranks/1.log").exists()
    assert record_of(plan)["state"] == "done"


@hides
@needs_mpirun
def test_a_run_that_hangs_out_of_sight_ends_with_124_and_says_where(
    plan_with: PlanWith, repo: Path
) -> None:
    plan = plan_with("everybody_is_here(2); report(1)\ndef waits(): time.sleep(600)\nwaits()")
    with pytest.raises(RunFailed, match="hung .* no step") as failure:
        train.execute(plan, read_lock(repo), Supervision(stall_timeout=1.0))
    assert failure.value.exit_code == 124
    assert "waits (" in (failure.value.why or "")
    assert "waits" in (Path(plan.run_directory) / "ranks/0.stack").read_text()


@hides
@needs_mpirun
def test_a_run_that_fails_out_of_sight_has_its_last_words(plan_with: PlanWith, repo: Path) -> None:
    plan = plan_with("everybody_is_here(2); report(1)\nif rank == '0': sys.exit('no more room')\n"
                     "time.sleep(600)")  # fmt: skip
    with pytest.raises(RunFailed, match="rank 0 on .*: exit code 1") as failure:
        train.execute(plan, read_lock(repo))
    assert failure.value.why == "no more room"
    assert (Path(plan.run_directory) / "ranks/0.log").read_text() == "no more room\n"


def test_a_launcher_that_is_gone_ends_the_tale(tmp_path: Path) -> None:
    """Nobody reads what rank 0 tells: its script is not kept from its end."""
    (tmp_path / "script.py").write_text("print('words\\n' * 50_000)\n")
    rank = [sys.executable, str(shipped("launchers") / "rank.py"), "--tell", str(tmp_path / "run")]
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [*rank, str(tmp_path / "script.py")], stdout=write, timeout=60, check=False
    )
    os.close(write)
    assert done.returncode == 0
    assert len((tmp_path / "run/ranks/0.log").read_text()) > 250_000

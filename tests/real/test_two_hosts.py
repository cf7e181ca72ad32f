"""Upstream's real pre-training on two hosts that share their storage: who writes the checkpoints.

Without the patch the first ranks of both hosts write the same files, and some runs die of it. A
race shows in some runs only, so here it is looked at who writes, and that runs with the patch
do not fail; ``BERTKIT_TWO_HOSTS_RUNS`` asks for more of them than two.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Dict, Iterator, List, Tuple

import pytest

from bertkit.launch.plan import Plan, Request, make_plan
from bertkit.launch.recipes.recipe import load
from bertkit.prepare import prepare
from tests.real.two_hosts import HOSTS, RANKS_PER_HOST, TwoHosts, two_hosts, why_not

pytestmark = [pytest.mark.real, pytest.mark.tensorflow]

STEPS = 8
RANKS = len(HOSTS) * RANKS_PER_HOST
RUNS = int(os.environ.get("BERTKIT_TWO_HOSTS_RUNS", "2"))


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory, upstream_url: str) -> Path:
    """Upstream 1.13.0 with the patch alone, and the sample data."""
    pytest.importorskip("tensorflow")
    pytest.importorskip("horovod")
    trouble = why_not()
    if trouble:
        pytest.skip(f"no two hosts on this machine: {trouble}")
    directory = tmp_path_factory.mktemp("two-hosts")
    prepare(
        synapse_version="1.13.0",
        upstream=upstream_url,
        destination=directory / "tree",
        only=["shared-checkpoints"],
    )
    subprocess.run(
        [sys.executable, "-m", "bertkit", "data", "sample", "--data", str(directory / "data")],
        stdout=subprocess.DEVNULL, check=True,
    )  # fmt: skip
    return directory


@pytest.fixture(scope="module")
def hosts(work: Path) -> Iterator[TwoHosts]:
    with two_hosts(work, slots=RANKS_PER_HOST) as made:
        yield made


def run(work: Path, hosts: TwoHosts, output: Path, **variables: str) -> Tuple[int, str]:
    """Phase 1 on all ranks, with a checkpoint each step; the exit code and the ranks' logs."""
    (output / ".bertkit" / "dllog").mkdir(parents=True)
    request = Request(
        recipe=load("phase1"), model="tiny", cards=RANKS, device="cpu",
        repo=work / "tree", data=work / "data", output=output, init_checkpoint=None, steps=STEPS,
        extra_flags=("--save_checkpoints_steps=1",), python=Path(sys.executable),
    )  # fmt: skip
    plan: Plan = make_plan(request, {**os.environ, **hosts.environment()})
    environment: Dict[str, str] = {**plan.environment, **variables}
    done = subprocess.run(
        hosts.command(plan.argv), env=environment, cwd=plan.working_directory, timeout=600,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    logs = [log.read_text(errors="replace") for log in output.rglob("ranks/*.log")]
    return done.returncode, "\n".join([*logs, done.stdout])[-4000:]


def writers(directory: Path) -> List[str]:
    """The hosts whose ranks wrote events into *directory*: one file a rank, named by its host."""
    return sorted(path.name.rsplit(".", 1)[1] for path in directory.glob("events.out.tfevents.*"))


@pytest.mark.parametrize("number", range(RUNS))
def test_one_rank_writes_the_shared_output_directory(
    work: Path, hosts: TwoHosts, number: int
) -> None:
    output = work / f"shared-{number}"
    code, logs = run(work, hosts, output)
    assert code == 0, logs
    assert writers(output) == ["host1"]
    workers = {path.name for path in output.glob("worker_*")}
    assert workers == {f"worker_{rank}" for rank in range(1, RANKS)}
    for directory in (output, *output.glob("worker_*")):
        assert (directory / f"model.ckpt-{STEPS}.index").is_file()
    assert list(output.rglob("*_temp*")) == []
    records = [json.loads(path.read_text()) for path in output.rglob("ranks/*.exit")]
    assert {record["host"] for record in records} == {"host1", "host2"}


def test_without_the_variable_each_host_has_its_own_writer_as_in_upstream(
    work: Path, hosts: TwoHosts
) -> None:
    """Right for storage of each host's own; here it is one, so the run may die of it."""
    output = work / "local"
    run(work, hosts, output, BERTKIT_OUTPUT_SHARED="0")
    assert writers(output) == ["host1", "host2"]
    assert not (output / f"worker_{RANKS_PER_HOST}").exists()

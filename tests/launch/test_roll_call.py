"""The nodes of a run, asked by a launcher: what machines they are, and whether each is fit."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence, Tuple

import pytest

from bertkit.errors import BertkitError
from bertkit.launch import preflight, roll_call
from bertkit.launch.nodes.hosts import Host, Location
from bertkit.launch.plan import Plan, Request, make_plan, tells
from bertkit.upstream.lock import read_lock

RequestFor = Callable[..., Request]
TWO = (Host("node0", 8), Host("node1", 8))


def agent(directory: Path, on: Optional[Dict[str, str]] = None) -> Path:
    """A script in the place of ssh: each host is this machine, those in *on* after that."""
    path = directory / "agent"
    cases = "".join(f"{host}) {first};;\n" for host, first in (on or {}).items())
    path.write_text(
        f"#!/bin/sh\nhost=$1; shift\ncase $host in\n{cases}*) ;;\nesac\n" 'exec /bin/sh -c "$*"\n'
    )
    path.chmod(0o755)
    return path


# What machines they are


def test_a_launcher_without_cards_learns_of_its_workers_cards_and_cores(
    gaudi_image: Path, request_for: RequestFor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = agent(tmp_path)
    path.write_text(
        f'#!/bin/sh\nshift\nexport BERTKIT_SYSTEM_ROOT={gaudi_image}\nexec /bin/sh -c "$*"\n'
    )
    monkeypatch.setenv("OMPI_MCA_plm_rsh_agent", str(path))
    monkeypatch.delenv("BERTKIT_SYSTEM_ROOT")
    monkeypatch.setattr("bertkit.launch.plan.system_root", lambda: tmp_path / "launcher")
    request = request_for(
        "phase1", model="large", cards=8, device="auto",
        location=Location("mpijob-v1", TWO, "hostfile"), hosts=TWO,
    )  # fmt: skip
    present = roll_call.call(request, os.environ, 0)
    assert present.request.device == "hpu"
    assert present.machine is not None
    assert (present.machine.devices, present.machine.cores.physical) == (8, 48)
    plan = make_plan(present.request, os.environ, present.machine)
    assert "ppr:4:socket:PE=6" in plan.argv


def test_the_poorest_node_decides(
    request_for: RequestFor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poor = tmp_path / "poor/sys/fs/cgroup"
    poor.mkdir(parents=True)
    (poor / "cpu.max").write_text("100000 100000\n")
    path = agent(tmp_path, {"node1": f"export BERTKIT_SYSTEM_ROOT={tmp_path}/poor"})
    monkeypatch.setenv("OMPI_MCA_plm_rsh_agent", str(path))
    request = request_for(
        "phase1", device="cpu", location=Location("hosts", TWO, "hostfile"), hosts=TWO
    )
    machine = roll_call.call(request, os.environ, 0).machine
    assert machine is not None
    assert machine.cores.physical == 1


# Whether each is fit


def can_hide() -> bool:
    """Whether a process here may have mounts of its own, to see other directories than others."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return False
    probe = ["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


hides = pytest.mark.skipif(not can_hide(), reason="needs root, unshare and mounts of its own")


def inspected(
    request: Request, directory: Path, on: Dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Tuple[Plan, Sequence[BertkitError]]:
    monkeypatch.setenv("OMPI_MCA_plm_rsh_agent", str(agent(directory, on)))
    plan = make_plan(request, os.environ)
    lock = read_lock(request.repo)
    here = preflight.ask(request, plan, lock)
    found = roll_call.inspect(request, plan, lock, here, probe=True)
    return found.plan, found.problems


def of_nodes(trouble: Sequence[BertkitError]) -> List[BertkitError]:
    """Without what the Python of these tests may lack."""
    return [each for each in trouble if "module" not in each.what and "TensorFlow" not in each.what]


def seeing(mounts: Dict[str, str]) -> Dict[str, str]:
    """These nodes run their commands behind mounts of their own."""
    return {
        node: f'exec unshare --mount /bin/sh -c "{mount}; $*"' for node, mount in mounts.items()
    }


@pytest.fixture
def two_nodes(request_for: RequestFor, repo: Path, some_mpirun: Path) -> Request:
    request = request_for("phase1", cards=1, location=Location("hosts", TWO, "hostfile"), hosts=TWO)
    request.output.mkdir(parents=True)
    return request


def test_nodes_that_are_alike_and_share_their_storage_are_fit(
    two_nodes: Request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, trouble = inspected(two_nodes, tmp_path, {}, monkeypatch)
    assert of_nodes(trouble) == []
    assert plan.environment["BERTKIT_OUTPUT_SHARED"] == "1"
    assert list(two_nodes.output.iterdir()) == []


@hides
def test_a_node_without_the_data_is_named(
    two_nodes: Request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = seeing({"node1": f"mount -t tmpfs none {two_nodes.data}"})
    trouble = of_nodes(inspected(two_nodes, tmp_path, hidden, monkeypatch)[1])
    assert [each.what for each in trouble] == ["training records: not the same on all nodes"]
    assert trouble[0].exit_code == 6


@hides
def test_a_node_without_the_checkout_or_with_another_is_named(
    two_nodes: Request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = seeing({"node1": f"mount -t tmpfs none {two_nodes.repo}"})
    trouble = of_nodes(inspected(two_nodes, tmp_path, hidden, monkeypatch)[1])
    assert [each.what for each in trouble] == ["there is no prepared checkout"]

    other = tmp_path / "other"
    shutil.copytree(two_nodes.repo, other)
    (other / "TensorFlow/nlp/bert/patched.sh").write_text("echo edited there\n")
    bound = seeing({"node1": f"mount --bind {other} {two_nodes.repo}"})
    trouble = of_nodes(inspected(two_nodes, tmp_path, bound, monkeypatch)[1])
    assert [each.what for each in trouble] == ["files of the checkout differ"]
    assert trouble[0].exit_code == 4

    lock = other / ".bertkit/lock.json"
    lock.write_text(lock.read_text().replace("1.13.0", "1.12.1"))
    trouble = of_nodes(inspected(two_nodes, tmp_path, bound, monkeypatch)[1])
    assert [each.what for each in trouble] == ["the checkout is of another release"]


@hides
def test_storage_of_each_nodes_own_makes_one_writer_a_node(
    two_nodes: Request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = seeing({"node1": f"mount -t tmpfs none {two_nodes.output}"})
    plan, trouble = inspected(two_nodes, tmp_path, hidden, monkeypatch)
    assert of_nodes(trouble) == []
    assert plan.environment["BERTKIT_OUTPUT_SHARED"] == "0"
    assert any("an output directory of its own" in remark for remark in plan.remarks)


@hides
def test_storage_that_only_some_nodes_share_is_refused(
    two_nodes: Request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    four = replace(two_nodes, hosts=(*TWO, Host("node2", 8), Host("node3", 8)))
    hidden = seeing({"node1": f"mount -t tmpfs none {two_nodes.output}"})
    trouble = of_nodes(inspected(four, tmp_path, hidden, monkeypatch)[1])
    assert [each.what for each in trouble] == ["only some nodes share the output directory"]
    assert (trouble[0].why or "").startswith("node1 cannot see")


@hides
@pytest.mark.parametrize("shared", [True, False])
def test_where_no_node_shares_with_the_launcher_rank_0_tells_how_it_gets_on(
    two_nodes: Request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared: bool
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    mounts = {"node0": f"mount --bind {elsewhere} {two_nodes.output}"}
    mounts["node1"] = mounts["node0"] if shared else f"mount -t tmpfs none {two_nodes.output}"
    plan, trouble = inspected(two_nodes, tmp_path, seeing(mounts), monkeypatch)
    assert of_nodes(trouble) == []
    assert tells(plan)
    assert plan.environment["BERTKIT_OUTPUT_SHARED"] == ("1" if shared else "0")
    assert any("does not see the output directory of node0" in remark for remark in plan.remarks)
    assert list(elsewhere.iterdir()) == []


@hides
def test_some_nodes_that_share_apart_from_the_launcher_are_refused(
    two_nodes: Request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    four = replace(two_nodes, hosts=(*TWO, Host("node2", 8), Host("node3", 8)))
    bound = f"mount --bind {elsewhere} {two_nodes.output}"
    mounts = {node: bound for node in ("node0", "node1", "node3")}
    mounts["node2"] = f"mount -t tmpfs none {two_nodes.output}"
    trouble = of_nodes(inspected(four, tmp_path, seeing(mounts), monkeypatch)[1])
    assert [each.what for each in trouble] == ["only some nodes share the output directory"]
    assert (trouble[0].why or "").startswith("node2 cannot see")


@hides
def test_a_run_that_a_node_holds_out_of_sight_is_not_gone_on_with_by_chance(
    two_nodes: Request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    whole_checkpoint: Callable[[Path, int], Path],
) -> None:  # fmt: skip
    elsewhere = tmp_path / "elsewhere"
    whole_checkpoint(elsewhere, 7)
    mounts = {"node0": f"mount --bind {elsewhere} {two_nodes.output}"}
    trouble = of_nodes(
        inspected(replace(two_nodes, hosts=TWO[:1]), tmp_path, seeing(mounts), monkeypatch)[1]
    )
    assert [each.what for each in trouble] == ["the output directory already holds a run"]
    assert "on node0" in str(trouble[0])

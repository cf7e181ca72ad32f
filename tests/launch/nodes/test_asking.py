"""Asking the nodes of a run: through a real agent script, to hosts that behave in every way."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Callable, Dict

import pytest

from bertkit.errors import EnvironmentUnfit
from bertkit.launch.nodes import question as node_ask
from bertkit.launch.nodes.asking import Nodes
from bertkit.launch.nodes.facts import Facts
from bertkit.launch.nodes.transport import Transport, find, ssh_port

#: mpirun calls it like ssh: a host, then a command for that host's shell. Each host is this
#: machine, and behaves as its name says.
AGENT = """#!/bin/sh
host=$1; shift
case $host in
  down*) echo "ssh: connect to host $host port 22: Connection refused" >&2; exit 255 ;;
  unknown*) echo "ssh: Could not resolve hostname $host: Name or service not known" >&2; exit 255 ;;
  later*) test -e HERE/$host.up || { touch HERE/$host.up; echo "not yet" >&2; exit 255; } ;;
  bare*) echo "sh: 1: python3: not found" >&2; exit 127 ;;
  strange*) echo "Welcome to $host"; exit 0 ;;
  chatty*) echo "Welcome to $host"; yes motd | head -n 20000 ;;
esac
exec /bin/sh -c "$*"
"""


@pytest.fixture
def agent(tmp_path: Path) -> Path:
    path = tmp_path / "agent"
    path.write_text(AGENT.replace("HERE", str(tmp_path)))
    path.chmod(0o755)
    return path


@pytest.fixture
def ask(agent: Path) -> Callable[..., Dict[str, Facts]]:
    def ask(*names: str, patience: float = 0, **asked: object) -> Dict[str, Facts]:
        nodes = Nodes(Transport((str(agent),)), names, Path(sys.executable))
        return nodes.ask(node_ask.question(**asked), patience)  # type: ignore[arg-type]

    return ask


def test_every_node_answers_in_the_order_of_ranks(ask: Callable[..., Dict[str, Facts]]) -> None:
    answers = ask("node1", "chatty", "node0")
    assert list(answers) == ["node1", "chatty", "node0"]
    assert {facts.python for facts in answers.values()} == {sys.version.split()[0]}


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("down1", "Connection refused"),
        ("unknown1", "Could not resolve hostname"),
    ],
)
def test_who_does_not_answer_in_time_is_named_with_the_agents_words(
    name: str, why: str, ask: Callable[..., Dict[str, Facts]]
) -> None:
    with pytest.raises(EnvironmentUnfit, match="1 of 2 nodes did not answer") as refusal:
        ask("node0", name)
    assert refusal.value.where == name
    assert why in (refusal.value.why or "")
    assert "--wait-for-nodes" in (refusal.value.next_step or "")


def test_all_who_do_not_answer_are_named_at_once(ask: Callable[..., Dict[str, Facts]]) -> None:
    with pytest.raises(EnvironmentUnfit, match="3 of 3 nodes") as refusal:
        ask("down1", "down2", "unknown3")
    assert refusal.value.where == "down1, down2, unknown3"


def test_a_node_that_comes_up_later_is_waited_for(ask: Callable[..., Dict[str, Facts]]) -> None:
    assert list(ask("later1", patience=60)) == ["later1"]


def test_a_node_without_the_ranks_python_is_not_waited_for(
    ask: Callable[..., Dict[str, Facts]],
) -> None:
    started = time.monotonic()
    with pytest.raises(EnvironmentUnfit, match="bare1 has not what this run needs") as refusal:
        ask("bare1", patience=600)
    assert time.monotonic() - started < 300
    assert "python3: not found" in (refusal.value.why or "")


def test_a_node_that_says_something_else_is_refused(ask: Callable[..., Dict[str, Facts]]) -> None:
    with pytest.raises(EnvironmentUnfit, match="answer cannot be read"):
        ask("strange1")


def test_words_reach_the_other_side_whole(agent: Path, tmp_path: Path) -> None:
    """The agent hands a string to a shell: nothing in it is the shell's to read."""
    nodes = Nodes(
        Transport((str(agent),)), ("node0",), Path(sys.executable), {"HABANA_LOGS": "a b'$(reboot)"}
    )
    place = tmp_path / "it's; a $(place)"
    place.mkdir()
    facts = nodes.ask(node_ask.question(needs={"data": str(place)}), 0)["node0"]
    assert facts.needs is not None
    assert (facts.needs["data"].kind, facts.needs["data"].why) == ("directory", None)


# The way to them


def test_the_agent_is_the_one_that_mpirun_will_use(agent: Path) -> None:
    environment = {"PATH": os.defpath, "OMPI_MCA_plm_rsh_agent": f"/no/such/ssh -x : {agent} -v"}
    assert find(environment, None).agent == (str(agent), "-v")


def test_no_agent_is_an_unfit_environment() -> None:
    with pytest.raises(EnvironmentUnfit, match="nothing reaches the other nodes"):
        find({"PATH": "/nowhere"}, None)


@pytest.mark.parametrize(
    ("environ", "asked", "in_pods", "hpu", "port"),
    [
        ({}, None, False, True, 3022),  # Habana's containers on bare machines
        ({}, None, False, False, None),
        ({}, None, True, True, None),  # sshd of the MPI operator's pods
        ({"DOCKER_SSHD_PORT": "4022"}, None, False, True, 4022),
        ({"DOCKER_SSHD_PORT": "4022"}, 22, False, True, 22),
        ({"OMPI_MCA_plm_rsh_args": "-p 2222"}, None, False, True, None),
        ({"OMPI_MCA_plm_rsh_agent": "/etc/mpi/kubexec.sh"}, None, True, True, None),
    ],
)
def test_sshs_port_is_habanas_only_where_it_belongs(
    environ: Dict[str, str], asked: int, in_pods: bool, hpu: bool, port: int
) -> None:
    assert ssh_port(environ, asked, in_pods=in_pods, hpu=hpu) == port


def test_a_port_that_is_none_is_refused() -> None:
    with pytest.raises(EnvironmentUnfit, match="DOCKER_SSHD_PORT is no port"):
        ssh_port({"DOCKER_SSHD_PORT": "ssh"}, None, in_pods=False, hpu=True)

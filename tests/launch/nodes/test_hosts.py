"""Where a run takes place: this machine, hosts that the user names, the workers of an MPIJob."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Dict, List, Optional, Tuple

import pytest

from bertkit.errors import EnvironmentUnfit, UsageProblem
from bertkit.launch.nodes.hosts import Host, Location, choose, locate, read_hostfile

Hostfile = Callable[[str], Path]


@pytest.fixture
def hostfile(tmp_path: Path) -> Hostfile:
    def write(text: str) -> Path:
        path = tmp_path / "hostfile"
        path.write_text(text)
        return path

    return write


@pytest.mark.parametrize(
    ("line", "host"),
    [
        ("bert-worker-0 slots=8", Host("bert-worker-0", 8)),  # MPIJob v1, operator 0.2.3
        ("bert-worker-0.bert-worker", Host("bert-worker-0.bert-worker")),  # operator 0.3
        ("bert-worker-0.bert-worker.me.svc slots=8", Host("bert-worker-0.bert-worker.me.svc", 8)),
        ("bert-worker-0.bert.me.svc slots=8", Host("bert-worker-0.bert.me.svc", 8)),  # 0.5 on
        ("192.10.100.174  slots=8 max_slots=8  # the first", Host("192.10.100.174", 8)),
        ("node7\tslots=2", Host("node7", 2)),
    ],
)
def test_every_form_of_a_hostfile_is_read(line: str, host: Host, hostfile: Hostfile) -> None:
    assert read_hostfile(hostfile(f"# hosts\n\n{line}\n")) == (host,)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "names no host"),
        ("# nothing\n\n", "names no host"),
        ("a slots=8\nb slots=8\na slots=8\n", "a is named twice"),
        ("a slots=0\n", "'slots=0' is not slots=N"),
        ("a slots=many\n", "is not slots=N"),
        ("-oProxyCommand=touch slots=8\n", "neither a host name"),
        ("a,b\n", "neither a host name"),
        ("a:8\n", "neither a host name"),
        ("a;reboot\n", "neither a host name"),
        ("a" * 300 + "\n", "neither a host name"),
        ("a slots=8 username=root\n", "'username=root' is not slots=N"),
        ("\n".join(f"n{i}" for i in range(1025)), "more than 1024 hosts"),
    ],
)
def test_a_hostfile_with_anything_else_in_it_is_refused(
    text: str, why: str, hostfile: Hostfile
) -> None:
    with pytest.raises(UsageProblem, match="list of hosts") as refusal:
        read_hostfile(hostfile(text))
    assert why in (refusal.value.why or "")


def test_a_hostfile_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="No such file") as refusal:
        read_hostfile(tmp_path / "none")
    assert refusal.value.where == str(tmp_path / "none")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageProblem, match="not text"):
        read_hostfile(tmp_path / "binary")


def operators(path: Path, **more: str) -> Dict[str, str]:
    return {
        "OMPI_MCA_orte_default_hostfile": str(path),
        "OMPI_MCA_orte_keep_fqdn_hostnames": "true",
        "K_MPI_JOB_ROLE": "launcher",
        **more,
    }


@pytest.mark.parametrize(
    ("variables", "kind"),
    [
        ({"OMPI_MCA_plm_rsh_agent": "/etc/mpi/kubexec.sh"}, "mpijob-v1"),
        ({"OMPI_MCA_plm_rsh_args": "-o ConnectionAttempts=10"}, "mpijob-v2beta1"),
    ],
)
def test_the_launcher_of_an_mpijob_is_known_by_what_its_operator_sets(
    variables: Dict[str, str], kind: str, hostfile: Hostfile
) -> None:
    path = hostfile("bert-worker-0 slots=8\nbert-worker-1 slots=8\n")
    found = locate(operators(path, **variables), None)
    assert (found.kind, len(found.hosts), found.source) == (kind, 2, str(path))
    assert found.in_pods


def test_an_mpijob_with_an_empty_hostfile_is_an_unfit_environment(hostfile: Hostfile) -> None:
    with pytest.raises(EnvironmentUnfit, match="MPIJob's hostfile"):
        locate(operators(hostfile("")), None)


def test_the_users_own_hostfile_goes_before_the_operators(
    hostfile: Hostfile, tmp_path: Path
) -> None:
    mine = tmp_path / "mine"
    mine.write_text("node1 slots=4\n")
    found = locate(operators(hostfile("bert-worker-0\n")), mine)
    assert (found.kind, found.hosts) == ("hosts", (Host("node1", 4),))


def test_upstreams_variable_names_hosts_too() -> None:
    found = locate({"MULTI_HLS_IPS": "192.10.100.174, 10.10.100.101"}, None)
    assert [host.name for host in found.hosts] == ["192.10.100.174", "10.10.100.101"]
    with pytest.raises(UsageProblem, match="named twice"):
        locate({"MULTI_HLS_IPS": "10.0.0.1,10.0.0.1"}, None)


def test_without_any_of_it_the_run_is_on_this_machine() -> None:
    assert locate({}, None) == Location("machine")
    assert choose(Location("machine"), None, 8) == ()
    assert choose(Location("machine"), 1, 8) == ()


HOSTS = (Host("a", 8), Host("b", 4), Host("c"))


@pytest.mark.parametrize(
    ("nodes", "cards", "names"),
    [(None, 4, ["a", "b", "c"]), (1, 8, ["a"]), (2, 4, ["a", "b"]), (3, 2, ["a", "b", "c"])],
)
def test_the_first_hosts_are_taken(nodes: Optional[int], cards: int, names: List[str]) -> None:
    chosen: Tuple[Host, ...] = choose(Location("hosts", HOSTS, "file"), nodes, cards)
    assert [host.name for host in chosen] == names


@pytest.mark.parametrize(
    ("location", "nodes", "cards", "words"),
    [
        (Location("machine"), 2, 8, "only this machine is known"),
        (Location("hosts", HOSTS, "file"), 4, 4, "there are 3 hosts"),
        (Location("hosts", HOSTS, "file"), 2, 8, "b has 4 slots"),
    ],
)
def test_more_than_there_is_is_refused(
    location: Location, nodes: int, cards: int, words: str
) -> None:
    with pytest.raises(UsageProblem, match=words):
        choose(location, nodes, cards)

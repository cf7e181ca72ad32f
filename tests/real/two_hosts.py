"""Two hosts on one machine, for Open MPI: network namespaces joined by a bridge.

Each host has its own address and its own local rank 0; the file system is shared. mpirun runs in
a third namespace, so that nothing of the machine's own network is touched. Needs root and ``ip``.
``BERTKIT_RANKS_PER_HOST`` asks for more ranks on each than two.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import Dict, Iterator, List, Sequence

NETWORK = "10.213.76"
HOSTS = (1, 2)
#: a CPU with few cores takes its time for more than these
RANKS_PER_HOST = int(os.environ.get("BERTKIT_RANKS_PER_HOST", "2"))


class TwoHosts:
    """The two hosts, each with *slots* slots."""

    def __init__(self, name: str, agent: Path, slots: int) -> None:
        self.name = name
        self.agent = agent
        self.slots = slots

    def environment(self) -> Dict[str, str]:
        """What Open MPI (4.1 and 5) and Horovod must know to use these hosts."""
        network = f"{NETWORK}.0/24"
        return {
            "OMPI_MCA_plm_rsh_agent": str(self.agent),
            "PRTE_MCA_plm_ssh_agent": str(self.agent),
            "OMPI_MCA_oob_tcp_if_include": network,
            "PRTE_MCA_prte_if_include": network,
            "OMPI_MCA_btl_tcp_if_include": network,
            "HOROVOD_GLOO_IFACE": "eth0",
        }

    def namespace(self, host: object) -> str:
        """The network namespace of *host*; 0 is where mpirun runs."""
        return f"{self.name}-{host}"

    def enter(self, host: object) -> List[str]:
        """What stands in front of a command that runs on *host*."""
        return ["ip", "netns", "exec", self.namespace(host)]

    def command(self, mpirun: Sequence[str]) -> List[str]:
        """The command that runs *mpirun*'s ranks on the two hosts instead of on this one."""
        hosts = ",".join(f"{NETWORK}.{host}:{self.slots}" for host in HOSTS)
        return [*self.enter(0), mpirun[0], "-H", hosts, *mpirun[1:]]


def why_not() -> str:
    """Why there can be no two hosts here, in a few words; empty if there can."""
    if shutil.which("ip") is None:
        return "the command ip is not installed"
    if os.geteuid() != 0:
        return "only root may make network namespaces"
    probe = f"bertkit{os.getpid()}-probe"
    made = subprocess.run(
        ["ip", "netns", "add", probe], capture_output=True, text=True, check=False
    )
    if made.returncode == 0:
        subprocess.run(["ip", "netns", "delete", probe], capture_output=True, check=False)
        return ""
    return f"network namespaces cannot be made ({made.stderr.strip()})"


@contextlib.contextmanager
def two_hosts(directory: Path, slots: int) -> Iterator[TwoHosts]:
    """Make the hosts, and take them away again; the agent's script lies in *directory*."""
    name = f"bertkit{os.getpid()}"
    agent = directory / "agent"
    # mpirun calls it in the place of ssh: the host's address, then a command for its shell. The
    # hosts need names of their own, or Open MPI takes their ranks for neighbours in memory.
    agent.write_text(
        "#!/bin/sh\nhost=${1##*.}\nshift\n"
        f'exec ip netns exec {name}-"$host" unshare --uts sh -c "hostname host$host; $*"\n'
    )
    agent.chmod(0o755)
    try:
        _ip("netns", "add", f"{name}-0")
        _ip("-n", f"{name}-0", "link", "add", "bridge0", "type", "bridge")
        _ip("-n", f"{name}-0", "address", "add", f"{NETWORK}.254/24", "dev", "bridge0")
        for up in ("lo", "bridge0"):
            _ip("-n", f"{name}-0", "link", "set", up, "up")
        for host in HOSTS:
            inside = f"{name}-{host}"
            _ip("netns", "add", inside)
            _ip("-n", f"{name}-0", "link", "add", f"host{host}", "type", "veth",
                "peer", "name", "eth0", "netns", inside)  # fmt: skip
            _ip("-n", f"{name}-0", "link", "set", f"host{host}", "master", "bridge0", "up")
            _ip("-n", inside, "address", "add", f"{NETWORK}.{host}/24", "dev", "eth0")
            for up in ("lo", "eth0"):
                _ip("-n", inside, "link", "set", up, "up")
        yield TwoHosts(name, agent, slots)
    finally:
        for number in (0, *HOSTS):
            subprocess.run(
                ["ip", "netns", "delete", f"{name}-{number}"], capture_output=True, check=False
            )


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)

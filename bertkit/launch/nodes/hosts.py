"""The hosts of a run: where mpirun is to start ranks, and how we know.

A run is on this machine alone, on the workers of an MPIJob (whose operator writes a hostfile and
points Open MPI to it), or on the hosts that the user names: with a hostfile, or with upstream's own
``MULTI_HLS_IPS``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from bertkit.errors import EnvironmentUnfit, UsageProblem

#: What the MPI operator's controller sets in the launcher of an MPIJob (mpi-operator,
#: pkg/controller: newLauncher).
DEFAULT_HOSTFILE = "OMPI_MCA_orte_default_hostfile"
#: v1 of the MPIJob reaches its workers with this agent, v2beta1 with ssh.
_KUBEXEC = "kubexec.sh"
#: Upstream's README, "Multi-server Training Examples".
MULTI_HLS_IPS = "MULTI_HLS_IPS"

_MOST_BYTES = 1 << 20
_MOST_HOSTS = 1024
# RFC 1123 names and IPv4 addresses. What stands here becomes an argument of ssh and part of
# mpirun's `-H a:8,b:8`: no leading dash, no colon, no comma.
_NAME = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*")
_LONGEST_NAME = 253
_SLOTS = re.compile(r"slots=(\d{1,4})")
_MOST_SLOTS = re.compile(r"max[_-]slots=\d{1,4}")


@dataclass(frozen=True)
class Host:
    """One line of a hostfile: a name, and how many ranks may run there (None: not said)."""

    name: str
    slots: Optional[int] = None


@dataclass(frozen=True)
class Location:
    """Where a run takes place.

    Attributes:
        kind: ``machine`` (this one alone), ``hosts`` (named by the user), ``mpijob-v1`` (reached by
            ``kubectl exec``) or ``mpijob-v2beta1`` (reached by ssh).
        hosts: where ranks may run, in order; empty: on this machine.
        source: what named them.
    """

    kind: str
    hosts: Tuple[Host, ...] = ()
    source: str = "this machine"

    @property
    def in_pods(self) -> bool:
        """Whether this is the launcher of an MPIJob."""
        return self.kind.startswith("mpijob")


def locate(environ: Mapping[str, str], hostfile: Optional[Path]) -> Location:
    """Where a run that is started here takes place.

    Args:
        environ: the caller's environment.
        hostfile: the one that the user names; goes before all else.

    Raises:
        UsageProblem: the user's hostfile or ``MULTI_HLS_IPS`` makes no sense.
        EnvironmentUnfit: the MPIJob's hostfile is not there or makes no sense.
    """
    if hostfile is not None:
        return Location("hosts", read_hostfile(hostfile), str(hostfile))
    by_operator = environ.get(DEFAULT_HOSTFILE)
    if by_operator and environ.get("K_MPI_JOB_ROLE", "launcher") == "launcher":
        agent = environ.get("OMPI_MCA_plm_rsh_agent", "")
        kind = "mpijob-v1" if agent.endswith(_KUBEXEC) else "mpijob-v2beta1"
        try:
            return Location(kind, read_hostfile(Path(by_operator)), by_operator)
        except UsageProblem as error:
            raise EnvironmentUnfit(
                f"the MPIJob's hostfile: {error.what}", where=error.where, why=error.why,
                next_step="look at the MPIJob's ConfigMap: kubectl get configmap",
            ) from None  # fmt: skip
    addresses = environ.get(MULTI_HLS_IPS)
    if addresses:
        names = [name.strip() for name in addresses.split(",") if name.strip()]
        return Location("hosts", _checked([(name, "") for name in names], MULTI_HLS_IPS),
                        MULTI_HLS_IPS)  # fmt: skip
    return Location("machine")


def choose(location: Location, nodes: Optional[int], cards: int) -> Tuple[Host, ...]:
    """The hosts that a run of *nodes* nodes with *cards* ranks each takes: the first ones.

    Args:
        location: see :func:`locate`.
        nodes: how many; None: all that there are.
        cards: ranks on each.

    Returns:
        The hosts; none where the run is on this machine alone.

    Raises:
        UsageProblem: there are not as many hosts, or one has fewer slots than ranks.
    """
    if not location.hosts:
        if nodes is not None and nodes > 1:
            raise UsageProblem(
                f"--nodes {nodes}, but only this machine is known",
                why=f"there is no --hostfile, no {MULTI_HLS_IPS}, and this is no MPIJob's launcher",
                next_step="name the hosts, one a line: --hostfile FILE; "
                "or submit it as an MPIJob: bertkit manifest train ...",
            )
        return ()
    chosen = location.hosts[:nodes]
    if nodes is not None and len(chosen) < nodes:
        raise UsageProblem(
            f"--nodes {nodes}, but there are {len(chosen)} hosts",
            where=location.source,
            next_step=f"take --nodes {len(chosen)}, or name more hosts",
        )
    for host in chosen:
        if host.slots is not None and host.slots < cards:
            raise UsageProblem(
                f"{cards} ranks on each node, but {host.name} has {host.slots} slots",
                where=location.source,
                next_step=f"take --cards {host.slots}, or give it slots={cards}",
            )
    return chosen


def read_hostfile(path: Path) -> Tuple[Host, ...]:
    """The hosts in an Open MPI hostfile, in order.

    Read are a name or an IPv4 address and, if it is there, ``slots=N``: what the MPI operator's
    releases write, and what people write by hand. ``max_slots=N`` and comments are passed over.

    Raises:
        UsageProblem: it cannot be read, is empty, names a host twice, or has anything else in it.
    """
    try:
        with path.open("rb") as stream:
            raw = stream.read(_MOST_BYTES + 1)
        text = raw.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise _unusable(path, why or str(error)) from None
    if len(raw) > _MOST_BYTES:
        raise _unusable(path, "it is far too large")
    lines = [line.partition("#")[0].strip() for line in text.splitlines()]
    pairs = [line.partition(" ")[::2] for line in (each.replace("\t", " ") for each in lines)]
    numbered: List[Tuple[str, str]] = [(name, rest.strip()) for name, rest in pairs if name]
    return _checked(numbered, path)


def _checked(entries: Sequence[Tuple[str, str]], where: object) -> Tuple[Host, ...]:
    if not entries:
        raise _unusable(where, "it names no host")
    if len(entries) > _MOST_HOSTS:
        raise _unusable(where, f"more than {_MOST_HOSTS} hosts")
    found: Dict[str, Host] = {}
    for name, rest in entries:
        if len(name) > _LONGEST_NAME or not _NAME.fullmatch(name):
            raise _unusable(where, f"{name[:60]!r} is neither a host name nor an IPv4 address")
        if name in found:
            # Open MPI would add the slots up: twice the ranks on one node's cards.
            raise _unusable(where, f"{name} is named twice")
        found[name] = Host(name, _slots(rest, name, where))
    return tuple(found.values())


def _slots(words: str, name: str, where: object) -> Optional[int]:
    slots = None
    for word in words.split():
        match = _SLOTS.fullmatch(word)
        if match and int(match.group(1)) > 0:
            slots = int(match.group(1))
        elif not _MOST_SLOTS.fullmatch(word):
            raise _unusable(where, f"{name}: {word[:60]!r} is not slots=N")
    return slots


def _unusable(where: object, why: str) -> UsageProblem:
    return UsageProblem(
        "the list of hosts cannot be used", where=where, why=why,
        next_step="one host a line: NAME slots=N",
    )  # fmt: skip

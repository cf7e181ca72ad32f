"""Is each node of a run fit for it, and as the others are?"""

from __future__ import annotations

import contextlib
import secrets
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Dict, Iterable, Iterator, List, Mapping, Tuple

from bertkit.devices.machine import Cores, Machine
from bertkit.errors import BertkitError, EnvironmentUnfit, UsageProblem
from bertkit.files import write_atomic
from bertkit.launch.nodes.differences import clock_remark, differences
from bertkit.launch.nodes.facts import Facts
from bertkit.launch.nodes.fitness import Wanted, problems, remarks


@dataclass(frozen=True)
class Survey:
    """What was found on the nodes.

    Attributes:
        problems: what stands in the way.
        remarks: what a careful reader should know.
        shared: whether all nodes see the launcher's output directory.
        afar: no node does: rank 0 must tell what it writes.
    """

    problems: Tuple[BertkitError, ...]
    remarks: Tuple[str, ...]
    shared: bool
    afar: bool = False


def judge(here: Facts, answers: Mapping[str, Facts], wanted: Wanted, output: Path) -> Survey:
    """What the nodes' *answers* are worth for a job.

    Args:
        here: the launcher's own facts.
        answers: name -> facts, the node of rank 0 first; the others must be as it is.
        wanted: what the job wants of each.
        output: the run's directory.
    """
    first = next(iter(answers.values()))
    # An MPIJob's launcher has no cards, so it may have no driver to show; all else is the same.
    trouble: List[BertkitError] = differences(replace(here, driver=first.driver), first)
    said: List[str] = []
    for name, facts in answers.items():
        trouble += problems(facts, wanted)
        said += remarks(facts, wanted)
        if facts is not first:
            trouble += differences(first, facts)
            said += filter(None, [clock_remark(first, facts)])
        if facts.output is not None and not facts.output.writable:
            trouble.append(
                EnvironmentUnfit(
                    "the output directory cannot be written to",
                    where=f"{name}: {output}",
                    next_step="mend its permissions there, or take another: --output DIR",
                )
            )
    looked = {name: facts.probe.found for name, facts in answers.items() if facts.probe}
    afar = bool(looked) and not any(looked.values())
    if not afar:
        trouble += storage_problems(looked, output)
    return Survey(tuple(trouble), tuple(said), all(looked.values()), afar)


def held_problems(answers: Mapping[str, Facts], output: Path) -> List[BertkitError]:
    """Which nodes hold a run already where the launcher does not see it; another would go on."""
    held = [
        name
        for name, facts in answers.items()
        if facts.probe and not facts.probe.found and facts.output and facts.output.holds
    ]
    if not held:
        return []
    return [
        UsageProblem(
            "the output directory already holds a run",
            where=f"{output} on {', '.join(held)}",
            why="TensorFlow would go on from its last checkpoint",
            next_step="--resume goes on with it; --output DIR takes another place",
        )
    ]


def storage_problems(sees: Mapping[str, bool], output: Path) -> List[BertkitError]:
    """Whether the nodes may keep the run's files as they do.

    All of them in one place, or each in its own: upstream's scripts know both.

    Args:
        sees: name of each node, rank 0's first -> whether it sees what another has written.
        output: the run's directory.
    """
    first, *others = sees.values() or [True]
    if first and (all(others) or not any(others)):
        return []
    blind = [name for name, found in sees.items() if not found]
    return [
        EnvironmentUnfit(
            "only some nodes share the output directory",
            where=output,
            why=f"{', '.join(blind)} cannot see what the others write",
            next_step="mount the same storage in the launcher and on all nodes, "
            "or take another --output DIR",
        )
    ]


@contextlib.contextmanager
def probe_file(output: Path) -> Iterator[Dict[str, str]]:
    """A file that the nodes are asked about, gone afterwards; yields the question's ``probe``."""
    directory = output
    while not directory.is_dir() and directory != directory.parent:
        directory = directory.parent
    nonce = secrets.token_hex(16)
    file = directory / f".bertkit-probe-{nonce}"
    try:
        write_atomic(file, nonce)
        yield {"action": "read", "nonce": nonce, "directory": str(directory)}
    finally:
        with contextlib.suppress(OSError):
            file.unlink()


def least(answers: Iterable[Facts]) -> Machine:
    """The machine that a plan may count on: of everything, what the poorest node has."""
    machines = [_machine(facts) for facts in answers]
    poorest = min(machines, key=lambda machine: machine.cores.physical)
    return Machine(
        devices=min(machine.devices for machine in machines),
        cores=poorest.cores,
        numa=machines[0].numa,
    )


def _machine(facts: Facts) -> Machine:
    cores = facts.cores
    if cores is None:
        counted = Cores(1, 1, f"nothing is known of {facts.host}")
    else:
        physical, source = cores.physical or cores.threads, f"on {facts.host}"
        if cores.quota is not None and cores.quota < physical:
            physical, source = max(1, int(cores.quota)), f"a CPU quota on {facts.host}"
        counted = Cores(physical, cores.sockets or 1, source)
    devices = facts.devices or ()
    numa = {
        number if device.module is None else device.module: device.numa
        for number, device in enumerate(devices)
    }
    return Machine(len(devices), counted, numa)

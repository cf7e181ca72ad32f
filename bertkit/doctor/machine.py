"""The machine: cards, driver, hugepages, processor, memory."""

from __future__ import annotations

from typing import List, Mapping

from bertkit.doctor.findings import Finding
from bertkit.launch.checks.disk import in_words
from bertkit.launch.nodes.facts import Facts
from bertkit.launch.nodes.fitness import (
    USUAL_HUGEPAGES,
    device_problems,
    hugepage_bytes,
    hugepage_problems,
    trouble_of,
)
from bertkit.launch.nodes.modules import release_of

_NO_GAUDI = "not needed: a CPU run"


def findings(facts: Facts, device: str, environ: Mapping[str, str]) -> List[Finding]:
    """What the machine of *facts* has for a run on *device*."""
    if device == "cpu" and environ.get("K_MPI_JOB_ROLE") == "launcher":
        launcher = Finding("Gaudi cards", "none in an MPIJob's launcher: its workers have them")
        return [launcher, _processor(facts), _memory(facts)]
    return [*_cards(facts, device), _driver(facts, device), _hugepages(facts, device),
            _processor(facts), _memory(facts)]  # fmt: skip


def _cards(facts: Facts, device: str) -> List[Finding]:
    what = "Gaudi cards"
    there = facts.devices or ()
    if device == "cpu":
        if there:
            return [Finding(what, f"{len(there)} here, not looked at: --device cpu")]
        return [Finding(what, "none: this machine trains on the CPU, small, to try things out")]
    if not there:
        return [Finding.of(what, error) for error in device_problems(facts, 1)]
    bad = [card for card in there if trouble_of(card)]
    good = f"{len(there) - len(bad)} of {len(there)} healthy and free"
    nodes = sorted({card.numa for card in there if card.numa is not None})
    places = f", on NUMA nodes {', '.join(map(str, nodes))}" if nodes else ""
    # A card of one's own pod may be busy with a run of one's own: the others can still be used.
    found = [Finding(what, good + places, True if len(bad) < len(there) else None)]
    for error in device_problems(facts, len(there)):
        row = Finding.of(what, error)
        found.append(row if len(bad) == len(there) else Finding(what, row.found, None, row.do))
    return found


def _driver(facts: Facts, device: str) -> Finding:
    what, libraries = "driver", facts.version("habana-tensorflow")
    if facts.driver is None:
        if device == "cpu":
            return Finding(what, _NO_GAUDI)
        return Finding(what, "its release is not known: sysfs does not say")
    if libraries is None or release_of(libraries) == release_of(facts.driver):
        return Finding(what, facts.driver, True if libraries else None)
    return Finding(
        what,
        f"{facts.driver}, but the libraries are {libraries}",
        None,
        "if a card does not open, use an image of the driver's release",
    )


def _hugepages(facts: Facts, device: str) -> Finding:
    what = "hugepages"
    if device == "cpu":
        return Finding(what, _NO_GAUDI)
    several = 2  # ranks: one alone does without
    for error in hugepage_problems(facts, several):
        only_one = len(facts.devices or ()) < several
        row = Finding.of(what, error)
        return Finding(what, row.found, None, row.do) if only_one else row
    free = hugepage_bytes(facts)
    if free is None:
        return Finding(what, f"not known: {facts.unknown.get('hugepages', 'nothing says')}")
    enough = free >= USUAL_HUGEPAGES
    return Finding(
        what,
        f"{free >> 20} MiB in pages of 2 MiB are free",
        True if enough else None,
        None if enough else f"Voyager's pods ask for {USUAL_HUGEPAGES >> 20} MiB; less may do",
    )


def _processor(facts: Facts) -> Finding:
    cores = facts.cores
    if cores is None:
        return Finding("processor", f"not known: {facts.unknown.get('cores', 'nothing says')}")
    counted = f"{cores.threads} threads"
    if cores.physical is not None:
        counted = f"{cores.physical} physical cores ({counted}) on {cores.sockets} sockets"
    quota = f", a quota of {cores.quota:g} processors" if cores.quota is not None else ""
    return Finding("processor", counted + quota, True)


def _memory(facts: Facts) -> Finding:
    memory = facts.memory
    if memory is None or memory.total is None:
        return Finding("memory", "not known")
    limit = f", this container may have {in_words(memory.limit)}" if memory.limit else ""
    free = f", {in_words(memory.available)} available" if memory.available is not None else ""
    return Finding("memory", in_words(memory.total) + free + limit, True)

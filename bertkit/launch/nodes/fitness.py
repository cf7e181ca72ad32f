"""What a node's facts are worth for a job: what stands in its way, and what to know of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Optional, Tuple

from bertkit.devices.visible import MODULES
from bertkit.errors import BertkitError, EnvironmentUnfit
from bertkit.launch.nodes import modules
from bertkit.launch.nodes.facts import Device, Facts

#: what Voyager's pods ask for, whatever the number of their cards: 95000Mi
USUAL_HUGEPAGES = 95000 << 20
_PAGE = 2 << 20
_MOST_NAMED = 4


@dataclass(frozen=True)
class Wanted:
    """What a job wants of each node.

    Attributes:
        device: ``hpu`` or ``cpu``.
        cards: ranks on this node.
        ranks: ranks in all.
        release: the checkout's upstream release; None where there is no checkout.
        tensorflow: the versions which that release was validated with.
        python: the ranks' interpreter, for messages.
        modules: the module id of each local rank's card; empty: whichever is free.
    """

    device: str
    cards: int
    ranks: int
    release: Optional[str] = None
    tensorflow: Tuple[str, ...] = ()
    python: str = "python3"
    modules: Tuple[int, ...] = ()


def problems(facts: Facts, wanted: Wanted) -> List[BertkitError]:
    """What stands in the way of *wanted* on the node of *facts*; empty if nothing does."""
    found = modules.problems(facts, wanted.python, wanted.release, wanted.tensorflow)
    if wanted.device == "hpu":
        found += modules.habana_problems(facts, wanted.python, wanted.release)
        found += device_problems(facts, wanted.cards)
        found += hugepage_problems(facts, wanted.ranks)
    if wanted.ranks > 1:
        found += modules.horovod_problems(facts, wanted.python)
    return found


def device_problems(facts: Facts, cards: int) -> List[BertkitError]:
    """Whether *cards* Gaudis are there, healthy and free."""
    if facts.devices is None:
        return [
            EnvironmentUnfit(
                "the Gaudis cannot be looked at", where=facts.host, why=facts.unknown.get("devices")
            )
        ]
    there = len(facts.devices)
    if there < cards:
        return [
            EnvironmentUnfit(
                f"{cards} cards were asked for, {there or 'none'} are here",
                where=f"/dev of {facts.host}",
                next_step=f"take --cards {there}, or ask for more habana.ai/gaudi in the pod"
                if there
                else "run this where there are Gaudis, or take --device cpu",
            )
        ]
    bad = [(device, why) for device in facts.devices for why in [trouble_of(device)] if why]
    if there - len(bad) >= cards:
        return []
    return [
        EnvironmentUnfit(
            f"{device.name} cannot be used: {why}",
            where=f"{facts.host}, {device.pci or 'PCI address unknown'}",
            next_step=_device_advice(device),
        )
        for device, why in bad[:_MOST_NAMED]
    ]


def trouble_of(device: Device) -> Optional[str]:
    """Why a card is not fit for a rank; None if nothing is known against it."""
    if device.status is not None and device.status.lower() != "operational":
        return f"the driver says {device.status!r}"
    if device.holders:
        return "it is open in process " + " and ".join(device.holders[:2])
    if device.refused == "busy":
        return "it is busy: a process that cannot be seen from here has it open"
    if device.refused is not None:
        return f"it does not open: {device.refused}"
    return None


def _device_advice(device: Device) -> str:
    if device.holders:
        return "wait for that process, or end it: kill " + device.holders[0].split()[0]
    if device.refused == "busy":
        return "look for the process on the host (hl-smi shows it), or take other cards"
    if device.refused is not None:
        return "start the container with the habana runtime, or ask for habana.ai/gaudi in the pod"
    return "hl-smi shows more; a card that stays so wants a reset of the driver by the site's staff"


def hugepage_problems(facts: Facts, ranks: int) -> List[BertkitError]:
    """Whether there is a page of 2 MiB at all, which Habana's collective library needs."""
    if ranks < 2 or facts.hugepages is None or hugepage_bytes(facts) != 0:
        return []
    pages = facts.hugepages
    if pages.limit is not None and pages.limit < _PAGE:
        why, hint = (
            "the container's limit is 0",
            "ask for hugepages-2Mi in the pod, as requests and limits (Voyager's pods: 95000Mi)",
        )
    elif not pages.total:
        why, hint = (
            "the machine has none set aside",
            "as root: sysctl -w vm.nr_hugepages=47500 (95000 MiB, what Voyager's pods ask for)",
        )
    else:
        why, hint = (
            f"all {pages.total} of the machine are in use",
            "end what uses them, or set more aside: sysctl vm.nr_hugepages",
        )
    return [
        EnvironmentUnfit(
            "no free hugepages: ranks on several cards cannot exchange gradients",
            where=facts.host,
            why=why,
            next_step=hint,
        )
    ]


def hugepage_bytes(facts: Facts) -> Optional[int]:
    """Bytes of 2 MiB pages that a run could still get; None where that is not known."""
    pages = facts.hugepages
    if pages is None or pages.free is None:
        return None
    free = pages.free * _PAGE
    if pages.limit is not None:
        free = min(free, max(0, pages.limit - (pages.used or 0)))
    return free


def remarks(facts: Facts, wanted: Wanted) -> List[str]:
    """What a careful reader should know of a node that is fit."""
    said = []
    if wanted.device == "hpu":
        userspace, driver = facts.version("habana-tensorflow"), facts.driver
        if userspace and driver and modules.release_of(userspace) != modules.release_of(driver):
            said.append(
                f"{facts.host}: habana-tensorflow {userspace} with driver {driver}: "
                "if a card does not open, use an image of the driver's release"
            )
        for device in facts.devices or ():
            why = trouble_of(device)
            if why is not None:
                # Habana's bridge takes the module with the number of the local rank.
                said.append(f"{facts.host}: {device.name} cannot be used: {why}")
        here = [device.module for device in facts.devices or () if device.module is not None]
        absent = [str(module) for module in wanted.modules if module not in here]
        if absent and here and len(here) == len(facts.devices or ()):
            said.append(
                f"{facts.host}: ranks would take modules {', '.join(absent)}, which are not here; "
                f"{MODULES}={','.join(map(str, sorted(here)))} names those that are"
            )
        pages = hugepage_bytes(facts)
        if pages is not None and 0 < pages < USUAL_HUGEPAGES and wanted.ranks > 1:
            said.append(
                f"{facts.host}: {pages >> 20} MiB of hugepages are free; Voyager's pods ask for "
                f"{USUAL_HUGEPAGES >> 20} MiB"
            )
    return said

"""What this machine has: Gaudi devices, and the processor cores that this container may use."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Sequence, Set, Tuple

#: Where ``/sys``, ``/dev`` and ``/proc`` are looked for; another place for tests and for tools
#: that mount a host's trees elsewhere.
SYSTEM_ROOT_VARIABLE = "BERTKIT_SYSTEM_ROOT"

_HABANA_VENDOR = "0x1da3"  # its PCI vendor id

#: HPUs in one Gaudi server, where none can be counted (facts: HLS-1 and HLS-2 have 8).
CARDS_PER_SERVER = 8


def system_root() -> Path:
    """The directory that holds ``sys/``, ``dev/`` and ``proc/``: normally ``/``."""
    return Path(os.environ.get(SYSTEM_ROOT_VARIABLE, "/"))


def gaudi_devices(root: Path) -> List[Path]:
    """The device nodes of the Gaudis here, in the order of their numbers.

    SynapseAI 1.11 and newer has ``/dev/accel/accelN``, older ones ``/dev/hlN``. A control node
    (``accel_controlDN``, ``hl_controlDN``) is not a device, and neither is another maker's
    accelerator: laptops have those in ``/dev/accel``, too.
    """
    found: List[Tuple[int, Path]] = []
    for directory, prefix in ((root / "dev" / "accel", "accel"), (root / "dev", "hl")):
        if directory.is_dir():
            for path in directory.iterdir():
                match = re.fullmatch(prefix + r"(\d+)", path.name)
                if match and not _is_foreign(root, path.name):
                    found.append((int(match.group(1)), path))
        if found:
            break
    return [path for _, path in sorted(found)]


def _is_foreign(root: Path, name: str) -> bool:
    """Whether sysfs says that the card is another maker's."""
    try:
        vendor = (root / "sys/class/accel" / name / "device/vendor").read_text().strip()
    except OSError:
        return False
    return vendor != _HABANA_VENDOR


@dataclass(frozen=True)
class Cores:
    """The processor as this process may use it.

    Attributes:
        physical: physical cores with at least one usable thread, cut down to the CPU quota.
        sockets: sockets that those cores lie on.
        source: how they were counted, for the explanation of a plan.
    """

    physical: int
    sockets: int
    source: str


@dataclass(frozen=True)
class Machine:
    """What a plan must know of the machine, or of the least of the machines, that it is for.

    Attributes:
        devices: Gaudis.
        cores: see :class:`Cores`.
        numa: module id of each Gaudi -> its NUMA node; None where that is not known.
    """

    devices: int
    cores: Cores
    numa: Mapping[int, Optional[int]] = field(default_factory=dict)


def this_machine(root: Path) -> Machine:
    """The machine whose ``/dev``, ``/proc`` and ``/sys`` are below *root*."""
    devices = gaudi_devices(root)
    return Machine(len(devices), usable_cores(root), numa_nodes(root, devices))


def numa_nodes(root: Path, devices: Sequence[Path]) -> Dict[int, Optional[int]]:
    """Module id of each of *devices* -> its NUMA node.

    Newer drivers tell the module (``/sys/class/accel/accelN/device/module_id``); with older ones
    the order of device nodes stands for it.
    """
    found: Dict[int, Optional[int]] = {}
    for number, device in enumerate(devices):
        kind = "accel" if device.parent.name == "accel" else "habanalabs"
        sysfs = root / "sys/class" / kind / device.name / "device"
        if kind == "habanalabs" and not sysfs.is_dir():
            sysfs = sysfs.parent  # before 1.11 the files lie one level higher
        module = _number(sysfs / "module_id")
        found[number if module is None else module] = _numa_node(root, sysfs)
    return found


def _numa_node(root: Path, sysfs: Path) -> Optional[int]:
    try:
        bus = (sysfs / "pci_addr").read_text().strip()
    except OSError:
        return None
    if not re.fullmatch(r"[0-9A-Fa-f:.]{5,16}", bus):
        return None
    return _number(root / "sys/bus/pci/devices" / bus / "numa_node")


def usable_cores(root: Path) -> Cores:
    """Count the physical cores below *root* that this process may really use."""
    threads = _allowed_threads(root)
    by_core: Dict[Tuple[int, int], int] = {}
    for thread in threads:
        topology = root / "sys/devices/system/cpu" / f"cpu{thread}" / "topology"
        package = _number(topology / "physical_package_id")
        core = _number(topology / "core_id")
        if package is not None and core is not None:
            by_core[(package, core)] = by_core.get((package, core), 0) + 1
    if by_core:
        physical, sockets = len(by_core), len({package for package, _ in by_core})
        source = "affinity and /sys topology"
    else:
        physical, sockets, source = max(1, len(threads)), 1, "affinity; /sys has no topology"
    quota = _cpu_quota(root)
    if quota is not None and quota < physical:
        physical, source = max(1, int(quota)), f"a CPU quota of {quota:g}"
    return Cores(physical, sockets, source)


def _allowed_threads(root: Path) -> Set[int]:
    """The logical processors of this process's affinity (``man 5 proc``: Cpus_allowed_list)."""
    try:
        status = (root / "proc/self/status").read_text()
        ranges = re.search(r"^Cpus_allowed_list:\s*([\d,-]+)$", status, re.MULTILINE)
    except OSError:
        ranges = None
    if ranges is None:
        return os.sched_getaffinity(0)
    threads: Set[int] = set()
    for part in ranges.group(1).split(","):
        first, _, last = part.partition("-")
        threads.update(range(int(first), int(last or first) + 1))
    return threads


def _cpu_quota(root: Path) -> Optional[float]:
    """Processors that the container's cgroup grants (v2, then v1); None without a limit."""
    try:
        quota, period = (root / "sys/fs/cgroup/cpu.max").read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        pass
    limit = _number(root / "sys/fs/cgroup/cpu/cpu.cfs_quota_us")
    period_us = _number(root / "sys/fs/cgroup/cpu/cpu.cfs_period_us")
    if limit is None or not period_us or limit <= 0:
        return None
    return limit / period_us


def _number(path: Path) -> Optional[int]:
    try:
        return int(path.read_text().strip())
    except (OSError, ValueError):
        return None

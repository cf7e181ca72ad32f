"""What one node said of itself: the values, as ``node_answer`` has checked them.

What they are worth for a job, ``node_fitness`` says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Mapping, Optional, Tuple


@dataclass(frozen=True)
class Device:
    """One Gaudi: its device node's name, what the driver says of it, and who has it open.

    Local rank N opens the card whose ``module`` is N; only newer drivers tell it.

    ``refused`` is why it did not open, where that was tried (``busy``); ``holders`` are processes
    as ``PID COMMAND``.
    """

    name: str
    status: Optional[str]
    pci: Optional[str]
    numa: Optional[int]
    module: Optional[int]
    driver: Optional[str]
    refused: Optional[str]
    holders: Tuple[str, ...]


@dataclass(frozen=True)
class Hugepages:
    """Pages of 2 MiB on the machine; bytes of them that the cgroup uses and may use."""

    total: Optional[int]
    free: Optional[int]
    used: Optional[int]
    limit: Optional[int]


@dataclass(frozen=True)
class Memory:
    """Bytes of memory: the machine's, available, and the cgroup's limit if it has one."""

    total: Optional[int]
    available: Optional[int]
    limit: Optional[int]


@dataclass(frozen=True)
class Processors:
    """Usable threads, their physical cores and sockets where /sys tells, and the CPU quota."""

    threads: int
    physical: Optional[int]
    sockets: Optional[int]
    quota: Optional[float]


@dataclass(frozen=True)
class Checkout:
    """The SHA-256 of the lock, its release and commit, and the blob ids of the files there."""

    lock: str
    release: str
    commit: str
    files: Mapping[str, Optional[str]]


@dataclass(frozen=True)
class Need:
    """A path that the job needs: kind, number of files, bytes, hash over names and sizes.

    ``kind`` is None where it cannot be looked at; ``why`` says what is wrong with it; ``contents``
    is a hash over what the files hold, where that is little.
    """

    path: str
    kind: Optional[str]
    files: Optional[int]
    bytes: Optional[int]
    sha256: Optional[str]
    why: Optional[str]
    contents: Optional[str] = None


@dataclass(frozen=True)
class Output:
    """Of the output directory, or the nearest that exists above it: writable, and room.

    ``holds``: there are checkpoints of a run in it.
    """

    existing: str
    writable: bool
    free_bytes: int
    free_files: Optional[int]
    holds: bool = False


@dataclass(frozen=True)
class Probe:
    """The probe file: which directory it was looked for in, and whether it is there."""

    directory: str
    found: bool


@dataclass(frozen=True)
class Facts:
    """All that one node said. None is what it could not find out: ``unknown`` has the reason."""

    host: Optional[str]
    time: Optional[float]
    python: Optional[str]
    executable: Optional[str]
    packages: Optional[Mapping[str, Optional[str]]]
    missing: Optional[Tuple[str, ...]]
    horovod_built_for: Optional[str]
    driver: Optional[str]
    devices: Optional[Tuple[Device, ...]]
    hugepages: Optional[Hugepages]
    memory: Optional[Memory]
    cores: Optional[Processors]
    checkout: Optional[Checkout]
    needs: Optional[Mapping[str, Need]]
    checkpoint: Optional[Mapping[str, int]]
    output: Optional[Output]
    probe: Optional[Probe]
    unknown: Mapping[str, str]

    def version(self, *names: str) -> Optional[str]:
        """The version of the first of the packages *names* that is installed."""
        versions = self.packages or {}
        return next((versions[name] for name in names if versions.get(name)), None)

    @property
    def tensorflow(self) -> Optional[str]:
        """TensorFlow's version, by whichever name it is installed."""
        return self.version("tensorflow-cpu", "tensorflow", "intel-tensorflow")

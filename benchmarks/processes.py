"""What a command takes: time, and the memory of all its processes together."""

from __future__ import annotations

import subprocess
import threading
import time
from typing import List, NamedTuple, Sequence

from bertkit.errors import BertkitError

_SECONDS_BETWEEN_LOOKS = 0.05


class Taken(NamedTuple):
    """What one run of a command took.

    Attributes:
        seconds: wall clock, with the start of the process.
        memory: bytes of all its processes at the worst moment; what they share is counted once.
        output: what it said on stdout.
    """

    seconds: float
    memory: int
    output: str


def measured(argv: Sequence[str]) -> Taken:
    """Run a command.

    Raises:
        BertkitError: it failed.
    """
    started = time.monotonic()
    with subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        looks = _Looks(process.pid)
        looks.start()
        output, errors = process.communicate()
        seconds = time.monotonic() - started
        looks.stop()
    if process.returncode:
        lines = (errors or output).strip().splitlines() or ["it said nothing"]
        raise BertkitError("a command of the benchmark failed", where=argv[0], why=lines[-1])
    return Taken(seconds, looks.most, output)


class _Looks(threading.Thread):
    """Looks at the memory of a process and all below it, again and again."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid, self._ended = pid, threading.Event()
        self.most = 0

    def run(self) -> None:
        while not self._ended.wait(_SECONDS_BETWEEN_LOOKS):
            self.most = max(self.most, sum(map(_memory, _family(self._pid))))

    def stop(self) -> None:
        self._ended.set()
        self.join()


def _family(pid: int) -> List[int]:
    import psutil

    try:
        process = psutil.Process(pid)
        return [pid, *(child.pid for child in process.children(recursive=True))]
    except psutil.NoSuchProcess:
        return []


def _memory(pid: int) -> int:
    """The proportional set size: a page that n processes share counts 1/n for each."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as lines:  # noqa: PTH123
            for line in lines:
                if line.startswith("Pss:"):
                    return int(line.split()[1]) * 1024
    except (OSError, ProcessLookupError):
        pass  # it has ended meanwhile
    return 0

"""What rank 0 tells where the launcher does not see its files, written down where they would be.

``launchers/rank.py --tell`` sends each line of them to mpirun's output, with what it is a line of.
So whatever follows a run by its files need not know where rank 0 runs.
"""

from __future__ import annotations

import contextlib
import logging
import re
from pathlib import Path
from typing import BinaryIO, Dict, Optional, Tuple

from bertkit.launch.running.failure import read_reports
from bertkit.launch.running.output import Output

log = logging.getLogger("bertkit")

_LINE = re.compile(rb"\s*bertkit-rank 0 (log|dllog|eval) (.*)", re.DOTALL)


class Told:
    """The files of one attempt that rank 0 only tells about.

    Args:
        run_directory: the run's ``.bertkit``; mpirun's output is in it.
    """

    def __init__(self, run_directory: Path) -> None:
        self._output = Output(run_directory / "mpirun.log")
        self._files = {
            b"log": run_directory / "ranks" / "0.log",
            b"dllog": run_directory / "dllog" / "0.json",
            b"eval": run_directory.parent / "eval_results.txt",
        }
        self._open: Dict[bytes, BinaryIO] = {}
        self._failed = False

    def take(self) -> None:
        """Write down what is new."""
        for line in self._output.lines():
            found = _LINE.fullmatch(line)
            if found:
                self._keep(found.group(1), found.group(2) + b"\n")
        for file in self._open.values():
            with contextlib.suppress(OSError):
                file.flush()

    def _keep(self, kind: bytes, line: bytes) -> None:
        try:
            if kind not in self._open:
                self._open[kind] = self._files[kind].open("wb")
            self._open[kind].write(line)
        except OSError as error:
            if not self._failed:
                log.warning("  what rank 0 tells is not written down any more: %s", error)
            self._failed = True

    def close(self) -> None:
        """The attempt is over."""
        self.take()
        for file in self._open.values():
            with contextlib.suppress(OSError):
                file.close()


def newest_checkpoint(run_directory: Path) -> Optional[Tuple[str, int]]:
    """Of a run whose rank 0 tells: ``HOST:PREFIX`` of its newest checkpoint, and the step."""
    for note in read_reports(run_directory).notes:
        prefix = note.get("checkpoint")
        if int(note["rank"]) == 0 and isinstance(prefix, str):
            step = prefix.rpartition("-")[2]
            return (f"{note['host']}:{prefix}", int(step)) if step.isdigit() else None
    return None

"""The part of NVIDIA's dllogger that upstream uses, for machines where it is not installed.

dllogger is not on the Python package index, so many images lack it. The classes and the file
format (one ``DLLL {json}`` line a record) follow its public interface; where the real package is
installed, bertkit leaves it in charge.
"""

from __future__ import annotations

import atexit
import json
import time
from datetime import datetime
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Union

Step = Union[int, str, Sequence[int]]


class Verbosity:
    """How much a backend wants to hear."""

    OFF = -1
    DEFAULT = 0
    VERBOSE = 1


class Backend:
    """Where records go; takes those at or below its verbosity."""

    def __init__(self, verbosity: int) -> None:
        self.verbosity = verbosity

    def log(self, timestamp: datetime, elapsed: float, step: Step, data: Mapping[str, Any]) -> None:
        """Take one record."""

    def metadata(
        self, timestamp: datetime, elapsed: float, metric: str, metadata: Mapping[str, Any]
    ) -> None:
        """Take a metric's unit and format."""

    def flush(self) -> None:
        """Write out what is held back."""


class StdOutBackend(Backend):
    """One readable line a record."""

    def __init__(
        self,
        verbosity: int,
        step_format: Callable[[Step], str] = str,
        metric_format: Optional[Callable[[str, Mapping[str, Any], Any], str]] = None,
        prefix_format: Optional[Callable[[datetime], str]] = None,
    ) -> None:
        super().__init__(verbosity)
        self._step_format = step_format
        self._metric_format = metric_format or _readable
        self._prefix_format = prefix_format or (lambda when: f"DLL {when} - ")
        self._known: Dict[str, Dict[str, Any]] = {}

    def metadata(
        self, timestamp: datetime, elapsed: float, metric: str, metadata: Mapping[str, Any]
    ) -> None:
        """Keep how *metric* is to be shown."""
        self._known.setdefault(metric, {}).update(metadata)

    def log(self, timestamp: datetime, elapsed: float, step: Step, data: Mapping[str, Any]) -> None:
        """Print the record."""
        shown = " ".join(
            self._metric_format(name, self._known.get(name, {}), value)
            for name, value in data.items()
        )
        print(f"{self._prefix_format(timestamp)}{self._step_format(step)} {shown}", flush=True)


class JSONStreamBackend(Backend):
    """One ``DLLL {json}`` line a record, each written out at once."""

    def __init__(self, verbosity: int, filename: str, append: bool = False) -> None:
        super().__init__(verbosity)
        # Open for as long as the process lives: this is a stream.
        self._file = open(filename, "a" if append else "w", buffering=1)  # noqa: PTH123, SIM115
        atexit.register(self._file.close)

    def metadata(
        self, timestamp: datetime, elapsed: float, metric: str, metadata: Mapping[str, Any]
    ) -> None:
        """Write a METADATA record."""
        self._write(timestamp, elapsed, type="METADATA", metric=metric, metadata=dict(metadata))

    def log(self, timestamp: datetime, elapsed: float, step: Step, data: Mapping[str, Any]) -> None:
        """Write a LOG record."""
        self._write(timestamp, elapsed, type="LOG", step=step, data=dict(data))

    def flush(self) -> None:
        """Write out what is held back."""
        if not self._file.closed:
            self._file.flush()

    def _write(self, timestamp: datetime, elapsed: float, **record: Any) -> None:
        head = {
            "timestamp": str(timestamp.timestamp()),
            "datetime": str(timestamp.astimezone()),
            "elapsedtime": str(elapsed),
        }
        self._file.write("DLLL " + json.dumps({**head, **record}) + "\n")


class Logger:
    """Hands each record to all backends."""

    def __init__(self, backends: List[Backend]) -> None:
        self.backends = backends
        self._start = time.monotonic()
        atexit.register(self.flush)

    def metadata(self, metric: str, metadata: Mapping[str, Any]) -> None:
        """Declare how *metric* is to be shown."""
        for backend in self.backends:
            backend.metadata(datetime.now(), self._elapsed(), metric, metadata)

    def log(self, step: Step, data: Mapping[str, Any], verbosity: int = Verbosity.VERBOSE) -> None:
        """Record *data* of *step*."""
        for backend in self.backends:
            if backend.verbosity >= verbosity:
                backend.log(datetime.now(), self._elapsed(), step, data)

    def flush(self) -> None:
        """Flush all backends."""
        for backend in self.backends:
            backend.flush()

    def _elapsed(self) -> float:
        return time.monotonic() - self._start


def _readable(metric: str, metadata: Mapping[str, Any], value: Any) -> str:
    shape = metadata.get("format")
    text = ("{" + shape + "}").format(value) if shape and value is not None else str(value)
    return f"{metric} : {text} {metadata.get('unit', '')}".rstrip() + " "

"""How far a download is: a bar on a terminal, a line every so often in a log, both on stderr."""

from __future__ import annotations

import datetime
import logging
import sys
import time
from typing import Any, Optional

log = logging.getLogger("bertkit.data")

_SECONDS_BETWEEN_LINES = 10.0


class Progress:
    """Shows the progress of one file for the length of a block; nothing with ``-q``.

    Args:
        name: what is fetched.
        total: in bytes, if known.
        done: what was there before.
    """

    def __init__(self, name: str, total: Optional[int], done: int) -> None:
        self._name, self._total, self._begun_with = name, total, done
        self._done = done
        self._started = self._last_line = time.monotonic()
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Progress:
        if log.isEnabledFor(logging.INFO) and sys.stderr.isatty():
            from rich import progress
            from rich.console import Console

            self._bar = progress.Progress(
                progress.TextColumn("{task.description}", markup=False),
                progress.BarColumn(),
                progress.DownloadColumn(),
                progress.TransferSpeedColumn(),
                progress.TimeRemainingColumn(),
                console=Console(stderr=True),
            )
            self._task = self._bar.add_task(
                self._name, total=self._total, completed=self._begun_with
            )
            self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.stop()
        elif error[0] is None and self._done > self._begun_with:
            rate = self._rate(self._done, time.monotonic())
            log.info("%s: %s have come, %s/s", self._name, size_of(self._done), size_of(rate))

    def at(self, done: int) -> None:
        """Say that *done* bytes are there."""
        self._done = done
        if self._bar is not None:
            self._bar.update(self._task, completed=done)
            return
        now = time.monotonic()
        if now - self._last_line >= _SECONDS_BETWEEN_LINES:
            self._last_line = now
            log.info("%s", told(self._name, done, self._total, self._rate(done, now)))

    def _rate(self, done: int, now: float) -> float:
        return (done - self._begun_with) / max(now - self._started, 1e-9)


def told(name: str, done: int, total: Optional[int], rate: float) -> str:
    """One line on how far *name* is: bytes *done* of *total* at *rate* bytes a second."""
    if total is None:
        return f"{name}: {size_of(done)}, {size_of(rate)}/s"
    line = f"{name}: {size_of(done)} of {size_of(total)} ({done / max(total, 1):.0%})"
    if rate <= 0:
        return line
    left = datetime.timedelta(seconds=round((total - done) / rate))
    end = datetime.datetime.now() + left
    return f"{line}, {size_of(rate)}/s, {left} left, done at {end:%H:%M}"


def size_of(count: float) -> str:
    """A number of bytes for people, in powers of ten as disks and networks are measured.

    >>> size_of(30288272)
    '30.3 MB'
    """
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"

"""What a person sees of a run while it goes on: one live line, or plain lines in a log."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
from typing import Optional, TextIO

from bertkit.launch.running.metrics import Metric

log = logging.getLogger("bertkit")

#: seconds between two lines where nobody watches live
SAY_EVERY = 60.0
_REDRAW = 0.5


class Live:
    """Says on stderr how far a run is.

    Nothing with ``-q``; one line that is redrawn on a terminal; elsewhere a line for the first and
    the last step and every minute.

    Args:
        total: how many steps there will be, if that is known.
        global_batch: sentences in a step, for the time that is left where no rate is reported.
        stream: stderr, unless a test looks on.
    """

    def __init__(
        self,
        total: Optional[int],
        global_batch: Optional[float],
        stream: Optional[TextIO] = None,
    ) -> None:
        self.total = total
        self._global_batch = global_batch
        self._stream = stream or sys.stderr
        self._quiet = not log.isEnabledFor(logging.INFO)
        self._terminal = self._stream.isatty() and not self._quiet
        self._started = time.monotonic()
        self._said = float("-inf")
        self._first: Optional[Metric] = None
        self._first_at = 0.0
        self._last: Optional[Metric] = None
        self._unsaid = False

    def step(self, metric: Metric) -> None:
        """Rank 0 has reported *metric*."""
        now = time.monotonic()
        first = self._first is None
        if self._first is None:
            self._first, self._first_at = metric, now
        self._last, self._unsaid = metric, True
        if self._terminal:
            self._redraw(now)
        elif first or now - self._said >= SAY_EVERY or metric.step == self.total:
            self._say(now)

    def tick(self) -> None:
        """Nothing is new; on a terminal the clock goes on until the first step."""
        now = time.monotonic()
        if self._terminal and self._last is None and now - self._said >= _REDRAW:
            self._draw(f"starting, {duration(now - self._started)}", now)

    def end(self) -> None:
        """The run is over: the last step is said, and what follows begins on a line of its own."""
        if self._terminal:
            self._put("")
        if self._unsaid and self._last is not None:
            self._say(time.monotonic())

    def line(self, metric: Metric, now: float) -> str:
        """*metric* in one line."""
        parts = [f"step {metric.step}" + (f" of {self.total}" if self.total else "")]
        if metric.loss is not None:
            parts.append(f"loss {metric.loss:.3f}")
        if metric.mlm_loss is not None and metric.nsp_loss is not None:
            parts[-1] += f" (mlm {metric.mlm_loss:.3f}, nsp {metric.nsp_loss:.3f})"
        if metric.learning_rate is not None:
            parts.append(f"rate {metric.learning_rate:.2e}")
        if metric.sentences_per_second:
            parts.append(f"{metric.sentences_per_second:.1f} sentences/s")
        left = self._left(metric, now)
        if left is not None:
            parts.append(f"about {duration(left)} left")
        return ", ".join(parts)

    def _left(self, metric: Metric, now: float) -> Optional[float]:
        """Seconds to the last step, by the rate that is reported, else by this run's own clock."""
        if self.total is None or metric.step >= self.total:
            return None
        steps = self.total - metric.step
        if metric.sentences_per_second and self._global_batch:
            return steps * self._global_batch / metric.sentences_per_second
        if self._first is not None and metric.step > self._first.step:
            return steps * (now - self._first_at) / (metric.step - self._first.step)
        return None

    def _redraw(self, now: float) -> None:
        if self._last is not None and now - self._said >= _REDRAW:
            self._draw(self.line(self._last, now), now)

    def _draw(self, text: str, now: float) -> None:
        self._put(f"  {text}")
        self._said = now

    def _put(self, text: str) -> None:
        with contextlib.suppress(OSError):  # a terminal that was closed
            width = os.get_terminal_size(self._stream.fileno()).columns - 1
            self._stream.write("\r\x1b[K" + text[:width])
            self._stream.flush()

    def _say(self, now: float) -> None:
        self._said, self._unsaid = now, False
        if self._last is not None:
            log.info("  %s", self.line(self._last, now))


def duration(seconds: float) -> str:
    """*seconds* for people: ``41 s``, ``3 min 05 s``, ``2 h 10 min``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"

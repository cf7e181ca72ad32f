"""How far long work is: a line every few seconds on stderr, with rate and end."""

from __future__ import annotations

import logging
import time

log = logging.getLogger("bertkit.data")

_SECONDS_BETWEEN_LINES = 5.0


class Progress:
    """Counts what is done and says so from time to time; nothing with ``-q``.

    Args:
        doing: what is done, such as ``reading records``.
        total: how many there will be; 0 if that is not known.
    """

    def __init__(self, doing: str, total: int = 0) -> None:
        self._doing, self._total = doing, total
        self._done = 0
        self._started = self._said = time.monotonic()

    def more(self, count: int) -> None:
        """*count* more are done."""
        self._done += count
        now = time.monotonic()
        if now - self._said >= _SECONDS_BETWEEN_LINES:
            self._said = now
            log.info("%s: %s", self._doing, self._told(now))

    def end(self) -> None:
        """Say how much was done in which time."""
        seconds = max(time.monotonic() - self._started, 1e-9)
        log.info(
            "%s: %s in %.1f s (%s)",
            self._doing, f"{self._done:,}", seconds, _rate(self._done / seconds),
        )  # fmt: skip

    def _told(self, now: float) -> str:
        rate = self._done / max(now - self._started, 1e-9)
        if not self._total or not rate:
            return f"{self._done:,}, {_rate(rate)}"
        left = max(self._total - self._done, 0) / rate
        return (
            f"{self._done:,} of {self._total:,} ({self._done / self._total:.0%}), {_rate(rate)}, "
            f"{left:,.0f} s left"
        )


def _rate(a_second: float) -> str:
    return f"{a_second:,.0f}/s" if a_second >= 10 else f"{60 * a_second:,.0f} a minute"

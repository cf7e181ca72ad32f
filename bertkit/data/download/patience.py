"""How long bertkit waits for a server, and what it does when the server fails."""

from __future__ import annotations

import random
import time
from typing import Callable, NamedTuple


class Patience(NamedTuple):
    """Limits of one download; times in seconds.

    Attributes:
        connect: for a connection.
        read: for the next bytes of an answer.
        window: within this time at least ``least_bytes`` must come, or the server counts as stuck.
        least_bytes: see ``window``.
        attempts: at one address in a row without getting on.
        first_wait: after the first failure; doubled after each further one.
        longest_wait: no wait is longer; a server that asks for more is left alone.
        redirects: followed one after another.
        sync_bytes: so often, what has come is made to survive a crash of the machine.
        split_bytes: a file so large comes by two connections, if the server can do that.
        enough_bytes: an attempt that brought so many has got on.
        sleep: tests put their own here.
    """

    connect: float = 20.0
    read: float = 60.0
    window: float = 120.0
    least_bytes: int = 16 << 10
    attempts: int = 6
    first_wait: float = 1.0
    longest_wait: float = 300.0
    redirects: int = 5
    sync_bytes: int = 16 << 20
    split_bytes: int = 1 << 30
    enough_bytes: int = 1 << 20
    sleep: Callable[[float], None] = time.sleep

    def wait_after(self, failures: int) -> float:
        """Seconds to wait after *failures* in a row: doubled each time, less up to a half by chance
        so that many clients do not come back at once.
        """
        longest = min(self.longest_wait, self.first_wait * 2.0 ** (failures - 1))
        return longest * random.uniform(0.5, 1.0)

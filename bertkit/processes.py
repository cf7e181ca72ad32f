"""Child processes that do not outlive bertkit, and get the signals that it gets."""

from __future__ import annotations

import ctypes
import os
import signal
from types import FrameType
from typing import Any, Callable, Dict, List, Optional

_PR_SET_PDEATHSIG = 1  # <sys/prctl.h>


def dies_with_parent() -> Optional[Callable[[], None]]:
    """A ``preexec_fn`` with which a child is killed when bertkit dies, even by SIGKILL.

    None where the kernel is not Linux.
    """
    try:
        prctl = ctypes.CDLL(None).prctl
    except (OSError, AttributeError):
        return None
    parent = os.getpid()

    def ask_kernel() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the request
            os._exit(128 + signal.SIGKILL)

    return ask_kernel


class SignalTaker:
    """Takes SIGINT, SIGTERM and SIGHUP for the length of a block, instead of ending the program.

    What is ignored already, as ``nohup`` has SIGHUP, stays ignored. A class that inherits says in
    :meth:`pass_on` who gets the signals.

    Attributes:
        received: the signals so far, in order.
    """

    def __init__(self) -> None:
        self.received: List[int] = []
        self._before: Dict[int, Any] = {}

    def __enter__(self) -> SignalTaker:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._take)
        return self

    def __exit__(self, *_error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def pass_on(self) -> None:
        """Called after each signal, with it last in ``received``; by itself it goes no further."""

    def _take(self, number: int, _frame: Optional[FrameType]) -> None:
        self.received.append(number)
        self.pass_on()

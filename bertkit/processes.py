"""Child processes that do not outlive bertkit."""

from __future__ import annotations

import ctypes
import os
import signal
from typing import Callable, Optional

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

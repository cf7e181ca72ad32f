"""Runs a script of upstream's: ``run_upstream.py SEED SCRIPT ARGUMENTS``.

With a seed, where upstream has none, and with processes that end when their parent does, where
upstream's would wait for ever.
"""

from __future__ import annotations

import ctypes
import os
import random
import runpy
import signal
import sys

import numpy

_PR_SET_PDEATHSIG = 1


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    seed, script, *arguments = sys.argv[1:]
    os.register_at_fork(after_in_child=_end_with_parent)
    random.seed(int(seed))
    numpy.random.seed(int(seed) % (1 << 32))
    sys.argv = [script, *arguments]
    sys.path[0] = os.path.dirname(script)  # noqa: PTH120 - as Python itself would set it
    runpy.run_path(script, run_name="__main__")

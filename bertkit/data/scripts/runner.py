"""Runs a script of upstream's: ``runner.py PIPE SEED SCRIPT ARGUMENTS``.

With a seed, where upstream has none; with the files of a directory in the order of their names,
where upstream takes them as the file system gives them; and with all of its processes ending when
the other end of *PIPE* is closed, where upstream's would go on or wait for ever.
"""

from __future__ import annotations

import glob
import os
import random
import runpy
import signal
import sys
import threading
from importlib.util import find_spec
from typing import Any, List


def _end_with(pipe: int) -> None:
    os.read(pipe, 1)  # nobody writes: it ends when bertkit does, however that is
    os.killpg(os.getpgrp(), signal.SIGKILL)


def _in_order(*arguments: Any, **options: Any) -> List[Any]:
    return sorted(_as_found(*arguments, **options))


_as_found = glob.glob

if __name__ == "__main__":
    pipe, seed, script, *arguments = sys.argv[1:]
    threading.Thread(target=_end_with, args=(int(pipe),), daemon=True).start()
    glob.glob = _in_order
    random.seed(int(seed))
    if find_spec("numpy") is not None:
        import numpy

        numpy.random.seed(int(seed) % (1 << 32))
    sys.argv = [script, *arguments]
    sys.path[0] = os.path.dirname(script)  # noqa: PTH120 - as Python itself would set it
    runpy.run_path(script, run_name="__main__")

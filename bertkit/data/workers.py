"""One process a core, which dies with its parent; results come in the order of the items."""

from __future__ import annotations

import multiprocessing
import os
import signal
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Callable, Iterator, Sequence, TypeVar

from bertkit.errors import BertkitError

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_PR_SET_PDEATHSIG = 1


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0))


def in_processes(
    function: Callable[[_Item], _Result], items: Sequence[_Item], workers: int
) -> Iterator[_Result]:
    """``map(function, items)`` over *workers* processes; the results' order is the items'.

    Raises:
        BertkitError: a worker was killed from outside (out of memory, most often).
    """
    workers = min(workers, len(items))
    if workers <= 1:
        yield from map(function, items)
        return
    # fork: nothing has to be imported again, and no thread runs here yet.
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(workers, context, _die_with, (os.getpid(),)) as pool:
        try:
            yield from pool.map(function, items)
        except BrokenProcessPool:
            raise BertkitError(
                "a worker process was killed",
                why="the machine or the container may be out of memory",
                next_step="run the same command again, with a smaller --workers",
            ) from None


def _die_with(parent: int) -> None:
    """A worker that outlived its parent would keep the lock on the data directory."""
    import ctypes

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent tells its workers to end
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)

"""One process a core, which dies with its parent; results come in the order of the items."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Callable, Deque, Iterable, Iterator, Sized, TypeVar

from bertkit.errors import BertkitError

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_PR_SET_PDEATHSIG = 1


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0))


def in_processes(
    function: Callable[[_Item], _Result], items: Iterable[_Item], workers: int
) -> Iterator[_Result]:
    """``map(function, items)`` over *workers* processes; the results' order is the items'.

    Items are taken as workers become free, two a worker ahead at most: neither items nor results
    pile up, however many there are.

    Raises:
        BertkitError: a worker was killed from outside (out of memory, most often).
    """
    if isinstance(items, Sized):
        workers = min(workers, len(items))
    if workers <= 1:
        yield from map(function, items)
        return
    # fork: nothing has to be imported again, and no thread runs here yet.
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(workers, context, _die_with, (os.getpid(),)) as pool:
        under_way: Deque[Future[_Result]] = deque()
        try:
            for item in items:
                under_way.append(pool.submit(function, item))
                if len(under_way) >= 2 * workers:
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        except BrokenProcessPool:
            raise BertkitError(
                "a worker process was killed",
                why="the machine or the container may be out of memory",
                next_step="run the same command again, with a smaller --workers",
            ) from None
        finally:
            for future in under_way:
                future.cancel()


def _die_with(parent: int) -> None:
    """A worker that outlived its parent would keep the lock on the data directory."""
    import ctypes

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent tells its workers to end
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)

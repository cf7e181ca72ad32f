"""One process a core, which dies with its parent; results come in the order of the items.

Each worker has a pipe of its own, whose other end the parent alone holds. So the death of a
worker, even in the middle of a result, ends that pipe, and the parent knows. With a pool of
``concurrent.futures`` all workers write to one pipe, and the parent waits for the rest for ever.
"""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import pickle
import signal
import sys
import time
import traceback
from multiprocessing.connection import Connection, wait
from typing import (
    Any,
    Callable,
    Dict,
    Iterable,
    Iterator,
    List,
    NamedTuple,
    Optional,
    Sequence,
    Sized,
    TypeVar,
    cast,
)

from bertkit.errors import BertkitError
from bertkit.processes import dies_with_parent

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_SECONDS_TO_CLEAN_UP = 10.0


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0))


def in_processes(
    function: Callable[[_Item], _Result], items: Iterable[_Item], workers: int
) -> Iterator[_Result]:
    """``map(function, items)`` over *workers* processes; the results' order is the items'.

    Items are taken as workers become free, two a worker ahead at most: neither items nor results
    pile up, however many there are. What *function* raises comes in its turn, after the results
    before it; no item is begun once one has failed.

    Raises:
        BertkitError: a worker was killed from outside (out of memory, most often).
    """
    if isinstance(items, Sized):
        workers = min(workers, len(items))
    if workers <= 1:
        yield from map(function, items)
        return
    team: List[_Worker] = []
    try:
        for _ in range(workers):
            team.append(_Worker(function, [each.pipe for each in team]))
        yield from _in_order(team, items)
    finally:
        _end(team)


@contextlib.contextmanager
def without_collector() -> Iterator[None]:
    """No search for cycles: where millions of small objects are kept that have none, it is a tenth
    of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class _Outcome(NamedTuple):
    """What became of one item."""

    result: Any
    error: Optional[BaseException] = None
    traceback: str = ""

    def get(self) -> Any:
        if self.error is not None:
            raise self.error from _InWorker(self.traceback)
        return self.result


class _InWorker(Exception):
    """Where in a worker an error arose; shown with its traceback."""


class _Worker:
    """One process, which has one item at a time: so neither side waits to write to the other."""

    def __init__(self, function: Callable[[Any], Any], others: Sequence[Connection]) -> None:
        # fork: nothing has to be imported again, and no thread runs here yet.
        context = multiprocessing.get_context("fork")
        self.pipe, end = context.Pipe()
        self.process = context.Process(
            target=_serve,
            args=(function, end, [*others, self.pipe], dies_with_parent()),
            daemon=True,
        )
        self.process.start()
        end.close()
        self.number = -1  # of the item that it has

    def give(self, number: int, item: object) -> None:
        try:
            self.pipe.send(item)
        except OSError:
            raise self._killed() from None
        self.number = number

    def take(self) -> _Outcome:
        try:
            outcome: _Outcome = self.pipe.recv()
        except (EOFError, OSError):
            raise self._killed() from None
        self.number = -1
        return outcome

    def _killed(self) -> BertkitError:
        self.process.join(_SECONDS_TO_CLEAN_UP)
        code = self.process.exitcode
        return BertkitError(
            "a worker process was killed",
            why="the machine or the container may be out of memory"
            if code in (None, -signal.SIGKILL)
            else f"it ended with {code}",
            next_step="run the same command again, with a smaller --workers",
        )


def _in_order(team: Sequence[_Worker], items: Iterable[Any]) -> Iterator[Any]:
    coming = enumerate(items)
    outcomes: Dict[int, _Outcome] = {}
    due = begun = 0
    more = True
    while True:
        busy = {worker.pipe: worker for worker in team if worker.number >= 0}
        ready = wait(list(busy), 0 if due in outcomes else None) if busy else []
        for pipe in ready:
            worker = busy[cast(Connection, pipe)]
            number = worker.number
            outcomes[number] = worker.take()
            more = more and outcomes[number].error is None
        for worker in team:
            if more and worker.number < 0 and begun < due + 2 * len(team):
                following = next(coming, None)
                more = following is not None
                if following is not None:
                    worker.give(*following)
                    begun += 1
        if due in outcomes:
            yield outcomes.pop(due).get()
            due += 1
        elif due == begun:
            return


def _end(team: Sequence[_Worker]) -> None:
    """End all workers; what they have under way they clear away."""
    for worker in team:
        worker.process.terminate()
    deadline = time.monotonic() + _SECONDS_TO_CLEAN_UP
    for worker in team:
        worker.process.join(max(0.0, deadline - time.monotonic()))
        if worker.process.exitcode is None:
            worker.process.kill()
            worker.process.join()
        worker.pipe.close()


def _serve(
    function: Callable[[Any], Any],
    pipe: Connection,
    of_the_parent: Sequence[Connection],
    die_with_parent: Optional[Callable[[], None]],
) -> None:
    """What a worker does: items in, outcomes out, until it is told to end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent tells its workers to end
    signal.signal(signal.SIGTERM, _leave)
    if die_with_parent is not None:  # else it would keep the lock on the data directory
        die_with_parent()
    for inherited in of_the_parent:
        inherited.close()
    while True:
        try:
            item = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send(_Outcome(function(item)))
        except Exception as error:
            pipe.send(_Outcome(None, _sendable(error), traceback.format_exc()))


def _leave(number: int, _frame: object) -> None:
    signal.signal(number, signal.SIG_IGN)  # once: what is cleared away now is not interrupted
    sys.exit(128 + number)


def _sendable(error: Exception) -> Exception:
    """*error*, or if the parent could not read it: its words."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error

"""Processes do the work in order, and none outlives its parent."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from bertkit.data.stages.workers import in_processes
from bertkit.errors import BertkitError, DataDamaged, RunFailed


def square(number):
    return number * number


def die(number):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_results_come_in_the_order_of_the_items(workers):
    assert list(in_processes(square, range(20), workers)) == [n * n for n in range(20)]


@pytest.mark.parametrize("workers", [1, 2])
def test_items_are_taken_only_a_little_ahead_of_the_results(workers):
    taken = []

    def items():
        for number in range(100):
            taken.append(number)
            yield number

    for done, _ in enumerate(in_processes(square, items(), workers), start=1):
        assert len(taken) <= done + 2 * workers


def test_the_death_of_a_worker_is_told_and_nothing_hangs():
    with pytest.raises(BertkitError, match="killed"):
        list(in_processes(die, [1, 2, 3], 2))


class Large:
    """64 MB, whose process is killed when it has begun to write them."""

    def __reduce__(self):
        threading.Thread(target=die_while_writing, daemon=True).start()
        return bytes, (bytes(64 << 20),)


def die_while_writing():
    before = written()
    while written() == before:  # the size goes out first, alone
        pass
    die(0)


def written():
    counts = Path("/proc/self/io").read_text(encoding="ascii")
    return int(counts.partition("wchar:")[2].split()[0])


def large_at_first(number):
    return Large() if number == 0 else number


def test_a_worker_that_dies_in_the_middle_of_a_large_result_is_told_and_nothing_hangs():
    with pytest.raises(BertkitError, match="killed"):
        list(in_processes(large_at_first, range(6), 2))


def test_large_items_and_large_results_do_not_wait_for_each_other():
    large = [bytes([number]) * (4 << 20) for number in range(6)]
    assert list(in_processes(bytes, large, 2)) == large


class Unreadable(Exception):
    def __init__(self, one, two):
        super().__init__(one)


PROBLEMS = [
    DataDamaged("damaged", where="here", why="so", next_step="this"),
    RunFailed("failed", code=139),
    FileNotFoundError(2, "No such file", "name"),
    Unreadable("one", "two"),
]


def fail(number):
    raise PROBLEMS[number]


@pytest.mark.parametrize("number", range(3))
def test_an_error_comes_through_as_it_is_and_says_where_it_arose(number):
    with pytest.raises(type(PROBLEMS[number])) as caught:
        list(in_processes(fail, [number, number], 2))
    assert (str(caught.value), vars(caught.value)) == (
        str(PROBLEMS[number]),
        vars(PROBLEMS[number]),
    )
    assert "in fail" in str(caught.value.__cause__)


def test_an_error_that_no_other_process_could_read_comes_in_words():
    with pytest.raises(RuntimeError, match="Unreadable: one"):
        list(in_processes(fail, [3, 3], 2))


def fail_at_two(number):
    if number == 2:
        raise DataDamaged("two")
    return number


def test_an_error_comes_after_the_results_before_it_and_no_item_is_begun_then():
    taken = []
    results = in_processes(fail_at_two, (taken.append(n) or n for n in range(99)), 2)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(DataDamaged, match="two"):
        next(results)
    assert len(taken) <= 6


def work_in(directory):
    try:
        (directory / "under way").touch()
        time.sleep(600)
    finally:
        (directory / "cleared away").touch()


def test_whoever_is_still_at_work_when_nobody_wants_the_results_clears_away(tmp_path):
    def items():
        yield tmp_path
        while not (tmp_path / "under way").exists():
            time.sleep(0.01)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(in_processes(work_in, items(), 2))
    assert (tmp_path / "cleared away").exists()


SCRIPT = """
import os, sys, time
from bertkit.data.stages.workers import in_processes

def work(item):
    os.write(1, b"%d\\n" % os.getpid())  # whole: two processes write here
    time.sleep(600)

list(in_processes(work, [1, 2], 2))
"""


def test_workers_end_when_their_parent_is_killed():
    parent = subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, text=True)
    workers = [int(parent.stdout.readline()) for _ in range(2)]
    parent.kill()
    parent.wait()
    assert parent.stdout.read() == ""  # ends when the last worker has closed it
    for worker in workers:
        deadline = time.monotonic() + 60
        while is_running(worker) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not is_running(worker)


def is_running(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state.rpartition(")")[2].split()[0] != "Z"

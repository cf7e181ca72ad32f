"""Processes do the work in order, and none outlives its parent."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bertkit.data.stages.workers import in_processes
from bertkit.errors import BertkitError


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

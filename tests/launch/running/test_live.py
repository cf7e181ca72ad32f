"""What a person sees of a run: a live line on a terminal, plain lines in a log, nothing with -q."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import pty
from typing import Iterator, List

import pytest

from bertkit.launch.running import live
from bertkit.launch.running.live import Live, duration
from bertkit.launch.running.metrics import Metric


@pytest.fixture
def said() -> Iterator[List[str]]:
    """The lines of bertkit's log, as ``bertkit train`` sets it up."""
    lines: List[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage().strip())

    log = logging.getLogger("bertkit")
    handler, level = Keep(), log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    yield lines
    log.removeHandler(handler)
    log.setLevel(level)


def metric(step: int, **more: float) -> Metric:
    return Metric(step=step, loss=11.0 - step / 10, **more)


def test_a_log_gets_the_first_and_the_last_step_and_one_a_minute(
    said: List[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(live.time, "monotonic", lambda: now[0])
    shown = Live(total=100, global_batch=None, stream=io.StringIO())
    for step in range(1, 101):
        now[0] += 2.0
        shown.step(metric(step))
    shown.end()
    steps = [line.split(",")[0] for line in said]
    assert steps == [f"step {n} of 100" for n in (1, 31, 61, 91, 100)]


def test_the_last_step_is_said_also_when_nobody_knew_that_it_was_the_last(said: List[str]) -> None:
    shown = Live(total=None, global_batch=None, stream=io.StringIO())
    for step in (1, 2, 3):
        shown.step(metric(step))
    shown.end()
    assert [line.split(",")[0] for line in said] == ["step 1", "step 3"]


def test_a_line_has_all_that_is_reported() -> None:
    shown = Live(total=10, global_batch=32, stream=io.StringIO())
    full = Metric(2, 10.5, 9.8, 0.7, 0.00075, 64.0)
    assert shown.line(full, now=0.0) == (
        "step 2 of 10, loss 10.500 (mlm 9.800, nsp 0.700), rate 7.50e-04, "
        "64.0 sentences/s, about 4 s left"
    )


def test_the_time_that_is_left_follows_the_clock_where_no_rate_is_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    monkeypatch.setattr(live.time, "monotonic", lambda: now[0])
    shown = Live(total=None, global_batch=24, stream=io.StringIO())
    shown.step(Metric(0, 0.7))
    shown.total = 50  # the script has said so meanwhile
    assert shown.line(Metric(10, 0.6), now=20.0).endswith("about 1 min 20 s left")


def test_nothing_is_said_with_q(said: List[str]) -> None:
    logging.getLogger("bertkit").setLevel(logging.WARNING)
    with terminal() as (master, stream):
        shown = Live(total=10, global_batch=None, stream=stream)
        shown.tick()
        shown.step(metric(1))
        shown.end()
        os.set_blocking(master, False)
        with pytest.raises(BlockingIOError):
            os.read(master, 100)
    assert said == []


def test_a_terminal_gets_one_line_that_is_redrawn_and_never_wraps(
    said: List[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "_REDRAW", 0.0)
    with terminal(columns=30) as (master, stream):
        shown = Live(total=10, global_batch=None, stream=stream)
        shown.tick()
        for step in (1, 2, 3):
            shown.step(metric(step))
        shown.end()
        drawn = ""
        while not drawn.endswith("\x1b[K") or "step 3" not in drawn:  # it comes in pieces
            drawn += os.read(master, 10_000).decode()
    assert "\n" not in drawn
    lines = [line for line in drawn.split("\r\x1b[K") if line]
    assert lines[0].strip().startswith("starting, 0 s")
    assert [line.split(",")[0].strip() for line in lines[1:]] == [
        f"step {n} of 10" for n in (1, 2, 3)
    ]
    assert max(map(len, lines)) <= 29
    assert said[-1].startswith("step 3 of 10")


@contextlib.contextmanager
def terminal(columns: int = 80) -> Iterator[tuple[int, io.TextIOWrapper]]:
    """A real terminal, and what a program writes into as its stderr."""
    import fcntl
    import struct
    import termios

    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with os.fdopen(slave, "w") as stream:
        yield master, stream  # type: ignore[misc]
    os.close(master)


def test_durations_are_for_people() -> None:
    assert [duration(each) for each in (41, 185, 7805)] == ["41 s", "3 min 05 s", "2 h 10 min"]

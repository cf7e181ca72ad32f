"""Starting a plan's command and staying with it to the end: no orphan, and who failed first."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, List, Optional

from bertkit.launch.plan import Plan
from bertkit.processes import SignalTaker, dies_with_parent

#: seconds that the ranks get to end by themselves after a signal
GRACE = 15.0
_POLL = 0.1
_LAST_LINES = 20


@dataclass(frozen=True)
class Failure:
    """The rank that failed first.

    Attributes:
        rank, host: which, where; None if no rank got as far as to run.
        code: its exit code, 128 + N for signal N.
        words: what that means.
        last_lines: the end of its log.
        log: its log.
    """

    rank: Optional[int]
    host: Optional[str]
    code: int
    words: str
    last_lines: List[str]
    log: Path


@dataclass(frozen=True)
class Outcome:
    """How a run ended: the exit code to pass on, and the first failure if there was one."""

    code: int
    seconds: float
    failure: Optional[Failure]
    interrupted: Optional[int]


def run(plan: Plan, watch: Callable[[], None]) -> Outcome:
    """Run the plan's command to its end.

    Args:
        plan: what to start; its run directory must exist.
        watch: called several times a second while the command runs, and once after its end.
    """
    run_directory = Path(plan.run_directory)
    started = time.monotonic()
    signals = _ToTheGroup()
    with (run_directory / "mpirun.log").open("wb") as log, signals:
        process = subprocess.Popen(
            plan.argv,
            env=dict(plan.environment),
            cwd=plan.working_directory,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a group of its own: all of it can be ended at once
            preexec_fn=dies_with_parent(),
        )
        try:
            signals.go_to(process.pid)
            while process.poll() is None:
                watch()
                signals.look_at_the_clock()
                time.sleep(_POLL)
        finally:
            _end_group(process)
    watch()
    code = process.returncode
    code = 128 - code if code < 0 else code
    interrupted = signals.received[0] if signals.received else None
    failure = first_failure(plan, code) if code != 0 and interrupted is None else None
    if interrupted is not None:
        code = 128 + interrupted
    elif failure is not None:
        code = failure.code
    return Outcome(code, time.monotonic() - started, failure, interrupted)


def first_failure(plan: Plan, launcher_code: int) -> Failure:
    """Which rank failed first, by the notes that each rank's wrapper left.

    A rank that is ended because another failed ends later, so the earliest note counts.
    """
    directory = Path(plan.run_directory)
    notes = [note for note in _notes(directory / "ranks") if note["code"] != 0]
    if not notes:
        log = directory / "mpirun.log"
        words = (
            "ended by something outside, and no rank could say how"
            if any((directory / "ranks").glob("*.log"))
            else "no rank came to run"
        )
        return Failure(None, None, launcher_code or 1, words, _end_of(log), log)
    first = min(notes, key=lambda note: float(str(note["time"])))
    rank, host = int(str(first["rank"])), str(first["host"])
    log = directory / "ranks" / f"{rank}.log"
    if first["signal"] is not None:
        number = int(str(first["signal"]))
        code, words = 128 + number, f"ended by {_signal_name(number)}"
    else:
        code = int(str(first["code"]))
        words = f"exit code {code}"
    return Failure(rank, host, code, words, _end_of(log), log)


class _ToTheGroup(SignalTaker):
    """Ends the run's process group: first by SIGTERM, on which mpirun ends its ranks in good
    order, at the second signal or the end of the grace period by SIGKILL.
    """

    def __init__(self) -> None:
        super().__init__()
        self._group: Optional[int] = None
        self._deadline = float("inf")

    def go_to(self, group: int) -> None:
        """Name the group; a signal that came before it was known goes to it now."""
        self._group = group
        if self.received:
            self.pass_on()

    def pass_on(self) -> None:
        """Ask the group to end, or make it."""
        if self._group is not None:
            first = len(self.received) == 1
            _signal_group(self._group, signal.SIGTERM if first else signal.SIGKILL)
            self._deadline = min(self._deadline, time.monotonic() + GRACE)

    def look_at_the_clock(self) -> None:
        """Kill the group when its grace period is over."""
        if time.monotonic() > self._deadline and self._group is not None:
            _signal_group(self._group, signal.SIGKILL)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """Whatever is left of the run's process group ends now."""
    _signal_group(process.pid, signal.SIGKILL)
    process.wait()


def _signal_group(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)


def _notes(directory: Path) -> List[Dict[str, object]]:
    notes = []
    for path in sorted(directory.glob("*.exit")):
        with contextlib.suppress(OSError, ValueError):
            notes.append(json.loads(path.read_text(encoding="utf-8")))
    return notes


def _end_of(log: Path, most: int = 64 * 1024) -> List[str]:
    try:
        with log.open("rb") as stream:
            stream.seek(0, os.SEEK_END)
            stream.seek(max(0, stream.tell() - most))
            text = stream.read().decode("utf-8", errors="replace")
    except FileNotFoundError:
        return []
    return [line for line in text.splitlines() if line.strip()][-_LAST_LINES:]


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"

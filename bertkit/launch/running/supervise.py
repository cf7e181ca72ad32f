"""Starting a plan's command and staying with it to the end: no orphan, and who failed first."""

from __future__ import annotations

import contextlib
import enum
import os
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Optional, Sequence

from bertkit.launch.plan import Plan
from bertkit.launch.running import stall
from bertkit.launch.running.failure import Failure, first_failure, started
from bertkit.processes import SignalTaker, dies_with_parent

#: seconds that the ranks get to end by themselves after a signal
GRACE = 15.0
#: seconds that the ranks of a hung run get to say where they stand
STACKS = 20.0
_POLL = 0.1
#: seconds that the kernel gets to end ranks whose launcher is gone
_SWEEP = 5.0

#: the exit code of a run that hung, as of the command ``timeout``
STALLED = 124


class Verdict(enum.Enum):
    """Why whoever watches a run wants it to end."""

    STALLED = "stalled"
    LOSS_LOST = "the loss is not a number"


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended.

    Attributes:
        code: the exit code to pass on.
        seconds: how long it took.
        failure: the first failure, if a rank or the launcher failed.
        interrupted: the signal that bertkit got, if it got one.
        verdict: why the watcher ended it, if it did.
        stall: what is known where it hung.
    """

    code: int
    seconds: float
    failure: Optional[Failure]
    interrupted: Optional[int]
    verdict: Optional[Verdict] = None
    stall: Optional[stall.Stall] = None


class Watcher:
    """What :func:`run` asks several times a second; a class that inherits says when to end."""

    def look(self, *, ended: bool = False) -> Optional[Verdict]:
        """Look at the run; *ended* the last time, when it is over."""
        return None

    def still_for(self) -> float:
        """Seconds since the run last moved."""
        return 0.0

    def lost_by(self, lines: Sequence[str]) -> bool:
        """Whether the loss is lost, by the *lines* of a rank that failed."""
        return False


def run(plan: Plan, watcher: Watcher, signals: Optional[ToTheGroup] = None) -> Outcome:
    """Run the plan's command to its end; its run directory must exist.

    Args:
        plan: what to start.
        watcher: says how far it is, and whether it should end.
        signals: taken already by the caller; else they are taken for as long as this runs.
    """
    if signals is None:
        with ToTheGroup() as signals:
            return run(plan, watcher, signals)
    run_directory = Path(plan.run_directory)
    began = time.monotonic()
    with (run_directory / "mpirun.log").open("wb") as log:
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
        ending = _Ending(process.pid, run_directory, signals)
        try:
            signals.go_to(process.pid)
            while process.poll() is None:
                ending.heed(watcher.look(), watcher.still_for())
                signals.look_at_the_clock()
                time.sleep(_POLL)
        finally:
            _end_group(process)
            _sweep(run_directory)
            signals.go_to(None)
    last = watcher.look(ended=True)
    verdict = ending.verdict or last
    seconds = time.monotonic() - began
    code = process.returncode
    code = 128 - code if code < 0 else code
    if signals.received:
        number = signals.received[0]
        return Outcome(128 + number, seconds, None, number)
    if ending.verdict is Verdict.STALLED:
        what = stall.explain(run_directory, ending.stopped, ending.still_for)
        return Outcome(STALLED, seconds, None, None, Verdict.STALLED, what)
    failure = first_failure(run_directory, plan.ranks, code)
    if failure is not None and watcher.lost_by(failure.text):
        verdict = Verdict.LOSS_LOST
    if verdict is Verdict.LOSS_LOST:
        # Ended by us, unless upstream noticed it first and gave up by itself.
        by_itself = failure is not None and ending.verdict is None
        code = failure.code if failure is not None and by_itself else 1
        return Outcome(code, seconds, failure if by_itself else None, None, verdict)
    return Outcome(failure.code if failure else 0, seconds, failure, None)


class ToTheGroup(SignalTaker):
    """Ends the run's process group: first by SIGTERM, on which mpirun ends its ranks in good
    order, at the second signal or the end of the grace period by SIGKILL.
    """

    def __init__(self) -> None:
        super().__init__()
        self._group: Optional[int] = None
        self._deadline = float("inf")

    def __enter__(self) -> ToTheGroup:
        super().__enter__()
        return self

    def go_to(self, group: Optional[int]) -> None:
        """Name the group; a signal that came before it was known goes to it now."""
        self._group = group
        self._deadline = float("inf")
        if self.received:
            self.pass_on()

    def pass_on(self) -> None:
        """Ask the group to end, or make it."""
        if len(self.received) > 1:
            self._signal(signal.SIGKILL)
        self.end()

    def end(self) -> None:
        """Ask the group to end, and kill it after the grace period."""
        if self._deadline == float("inf"):
            self._signal(signal.SIGTERM)
            self._deadline = time.monotonic() + GRACE

    def look_at_the_clock(self) -> None:
        """Kill the group when its grace period is over."""
        if time.monotonic() > self._deadline:
            self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        if self._group is not None:
            _signal_group(self._group, number)


class _Ending:
    """Ends a run that its watcher wants to end: a hung one says first where it stands."""

    def __init__(self, launcher: int, run_directory: Path, signals: ToTheGroup) -> None:
        self.verdict: Optional[Verdict] = None
        self.stopped: Dict[int, str] = {}
        self.still_for = 0.0
        self._launcher = launcher
        self._run_directory = run_directory
        self._signals = signals
        self._end_at = float("inf")

    def heed(self, verdict: Optional[Verdict], still_for: float) -> None:
        """Do what *verdict* asks for; again and again until the run has ended."""
        now = time.monotonic()
        if verdict is not None and self.verdict is None:
            self.verdict, self.still_for, self._end_at = verdict, still_for, now
            if verdict is Verdict.STALLED:
                self.stopped = stall.ask_for_stacks(self._launcher, self._run_directory)
                self._end_at = now + STACKS
        if now >= self._end_at:
            self._signals.end()


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """Whatever is left of the run's process group ends now."""
    _signal_group(process.pid, signal.SIGKILL)
    process.wait()


def _sweep(run_directory: Path) -> None:
    """See that no rank of this host is left, once mpirun is gone.

    The kernel kills ranks whose launcher dies; that takes a moment.
    """
    here = socket.gethostname()
    left = {
        int(note[key])
        for note in started(run_directory)
        if note["host"] == here
        for key in ("wrapper", "process")
    }
    until = time.monotonic() + _SWEEP
    while True:
        # The kernel gives numbers out again: only what runs this very run is ours.
        left = {process for process in left if _runs(process, run_directory)}
        if not left or time.monotonic() > until:
            break
        time.sleep(_POLL / 5)
    for process in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def _runs(process: int, run_directory: Path) -> bool:
    """Whether *process* is still there, and of this run."""
    try:
        return os.fsencode(run_directory.parent) in Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return False


def _signal_group(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)

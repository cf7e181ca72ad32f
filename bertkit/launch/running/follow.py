"""Following a run: its metrics are written down and shown, and it is noticed when it hangs."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Callable, List, Optional, Sequence, TextIO

from bertkit.launch.plan import Plan, flag_of, tells
from bertkit.launch.running.live import Live
from bertkit.launch.running.metrics import Metric, MetricsReader
from bertkit.launch.running.supervise import Verdict, Watcher
from bertkit.launch.running.told import Told

log = logging.getLogger("bertkit")

#: seconds that upstream gets to give up by itself when its loss is no number any more
PATIENCE = 10.0
#: seconds between two notes in the record how far the run is
_NOTE_EVERY = 60.0


def _steps_between(plan: Plan) -> int:
    """Steps between two lines of TPUEstimator's: it takes the Estimator's 100 for those of a loop
    on a device, which upstream makes 1000 steps long.
    """
    loop = flag_of(plan, "iterations_per_loop") or ""
    return -(-100 // int(loop)) if loop.isdigit() and int(loop) else 1


class Follower(Watcher):
    """Watches one attempt.

    Args:
        plan: what runs.
        stream: ``metrics.jsonl``.
        stall_timeout: seconds without a sign of progress after which the run counts as hung, also
            before its first step; 0: it may take all the time in the world.
        note: called now and then with the step that is reached.
    """

    def __init__(
        self, plan: Plan, stream: TextIO, stall_timeout: float, note: Callable[[int], None]
    ) -> None:
        run_directory = Path(plan.run_directory)
        self._told = Told(run_directory) if tells(plan) else None
        self.reader = MetricsReader(
            run_directory,
            dllogger=any(flag.startswith("--dllog_path=") for flag in plan.script),
            global_batch=plan.numbers.get("global_batch"),
            every=_steps_between(plan),
        )
        self.seen: List[Metric] = []
        self._stream = stream
        self._limit = stall_timeout
        self._note = note
        steps = plan.numbers.get("steps")
        self._live = Live(None if steps is None else int(steps), plan.numbers.get("global_batch"))
        self._full = False
        self._signs = 0
        self._moved = self._noted = time.monotonic()
        self._lost: Optional[float] = None

    def look(self, *, ended: bool = False) -> Optional[Verdict]:
        """Write down what is new; say if the run hangs or has lost its loss."""
        if self._told is not None:
            self._told.take()
        fresh = self.reader.read()
        now = time.monotonic()
        if self.reader.signs != self._signs:
            self._signs, self._moved = self.reader.signs, now
        if fresh:
            self._keep(fresh)
            self.seen += fresh
            self._live.total = self._live.total or self.reader.total_steps
            self._live.step(fresh[-1])
            if now - self._noted >= _NOTE_EVERY:
                self._noted = now
                self._note(fresh[-1].step)
        else:
            self._live.tick()
        if ended:
            self._live.end()
            if self._told is not None:
                self._told.close()
        if self.reader.lost_at is not None:
            self._lost = now if self._lost is None else self._lost
            return Verdict.LOSS_LOST if ended or now - self._lost >= PATIENCE else None
        if self._limit and self.still_for() >= self._limit:
            return Verdict.STALLED
        return None

    def lost_by(self, lines: Sequence[str]) -> bool:
        """Whether the loss is lost, by what a rank says that failed."""
        return self.reader.lost_by(lines)

    def _keep(self, fresh: List[Metric]) -> None:
        """Write *fresh* down; a full disk is upstream's to fail of, when it saves."""
        try:
            self._stream.write("".join(metric.as_json() + "\n" for metric in fresh))
            self._stream.flush()
        except OSError as error:
            if not self._full:
                log.warning("  metrics are not written down any more: %s", error)
            self._full = True

    def still_for(self) -> float:
        """Seconds since rank 0 last showed that it gets on."""
        return time.monotonic() - self._moved

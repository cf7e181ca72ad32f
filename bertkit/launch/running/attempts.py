"""The attempts of one run: each with its own logs, the next from the newest whole checkpoint."""

from __future__ import annotations

import contextlib
import logging
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Mapping, Optional, Tuple

from bertkit.errors import RunFailed
from bertkit.launch.checkpoints import leftovers
from bertkit.launch.plan import Plan, tells
from bertkit.launch.running import evaluation, record, supervise
from bertkit.launch.running.follow import Follower
from bertkit.launch.running.record import Record
from bertkit.launch.running.result import (
    Result,
    failure_of,
    good_until,
    known_cause,
    newest_checkpoint,
    result_of,
)
from bertkit.upstream.lock import Lock

log = logging.getLogger("bertkit")

#: seconds before another attempt: a card is not free at once when its process was killed
PAUSE = 5.0


@dataclass(frozen=True)
class Supervision:
    """How a run is looked after.

    Attributes:
        stall_timeout: seconds without a step after which it counts as hung; 0: never.
        max_restarts: how often it is started again after a failure or a stall.
        resume: it goes on with what lies in the output directory.
    """

    stall_timeout: float = 1800.0
    max_restarts: int = 0
    resume: bool = False


def run(
    plan: Plan, lock: Lock, supervision: Supervision, options: Optional[Mapping[str, Any]]
) -> Result:
    """Run *plan* as often as *supervision* allows; the caller holds the run's lock.

    Raises:
        RunFailed: the last attempt failed; carries the exit code.
    """
    run_directory = Path(plan.run_directory)
    before = record.read(Path(plan.output))
    place = record.next_place(run_directory)
    if supervision.resume:
        lost = (before or {}).get("result") or {}
        good = lost.get("good_until") if isinstance(lost, dict) else None
        _clear(plan, place, good if isinstance(good, int) else None)
    record.put_aside(run_directory, place, with_record=True)
    with supervise.ToTheGroup() as signals:
        kept = Record(plan, lock, options)
        started = time.monotonic()
        try:
            number = 1
            while True:
                result, failure, again = _attempt(plan, kept, supervision, signals)
                if failure is None or not again or number > supervision.max_restarts:
                    break
                number += 1
                log.warning("%s", failure)
                log.warning("attempt %s of %s follows", number, supervision.max_restarts + 1)
                if not _paused(signals):
                    break
                place = record.next_place(run_directory)
                kept.attempt_moved(place)
                record.put_aside(run_directory, place, with_record=False)
                _clear(plan, place, None)
        except BaseException as error:
            kept.finish(1, {"failure": f"bertkit itself: {type(error).__name__}: {error}"})
            raise
        if number > 1:
            result = result.over(time.monotonic() - started)
        kept.finish(
            failure.exit_code if failure else 0,
            {
                **result.as_dict(),
                "failure": str(failure) if failure else None,
                "good_until": kept.good_until,
            },
        )
    if failure is not None:
        raise failure
    return result


def _attempt(
    plan: Plan, kept: Record, supervision: Supervision, signals: supervise.ToTheGroup
) -> Tuple[Result, Optional[RunFailed], bool]:
    """One attempt: what it has to show, why it failed, and whether another one may help."""
    run_directory = Path(plan.run_directory)
    (run_directory / "ranks").mkdir()
    (run_directory / "dllog").mkdir()
    found = newest_checkpoint(plan)
    kept.attempt_starts(found.step if found else None)
    stream = (run_directory / "metrics.jsonl").open("w", encoding="utf-8")
    try:
        follower = Follower(plan, stream, supervision.stall_timeout, kept.reached)
        outcome = supervise.run(plan, follower, signals)
    finally:
        with contextlib.suppress(OSError):  # what a full disk did not take
            stream.close()
    result = result_of(plan, outcome, follower, kept.path)
    failure = failure_of(plan, outcome, follower, result)
    if failure is None and plan.evaluation:
        try:
            result = replace(result, evaluation=evaluation.scored(plan))
        except RunFailed as error:
            failure = error
    kept.good_until = good_until(follower)
    kept.attempt_ends(failure.exit_code if failure else 0, str(failure) if failure else None)
    if outcome.failure is not None:
        for line in outcome.failure.last_lines:
            log.warning("  | %s", line)
    return result, failure, _may_help(outcome)


def _may_help(outcome: supervise.Outcome) -> bool:
    """Whether another attempt may end otherwise: not where a cause is known that stays."""
    if outcome.interrupted is not None or outcome.verdict is supervise.Verdict.LOSS_LOST:
        return False
    if outcome.failure is None:
        return outcome.stall is not None
    hint = known_cause(outcome.failure)
    return hint is None or not hint.repeats


def _clear(plan: Plan, place: Path, good: Optional[int]) -> None:
    for line in leftovers.clear(Path(plan.output), place, good_until=good):
        log.warning("  %s", line)
    if tells(plan):
        log.info("  goes on from what %s holds", plan.hosts[0])
        return
    found = newest_checkpoint(plan)
    log.info("  goes on from %s", f"step {found.step}" if found else "the start")


def _paused(signals: supervise.ToTheGroup) -> bool:
    """Wait a little; false if a signal came meanwhile."""
    until = time.monotonic() + PAUSE
    while time.monotonic() < until and not signals.received:
        time.sleep(min(0.1, PAUSE))
    return not signals.received

"""What a finished run has to show, and how a failed one is told."""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Dict, Mapping, Optional

from bertkit.errors import BertkitError, RunFailed
from bertkit.launch.checkpoints import checkpoint as checkpoints
from bertkit.launch.plan import Plan, tells
from bertkit.launch.running import evaluation, told
from bertkit.launch.running.excerpt import telling
from bertkit.launch.running.failure import Failure
from bertkit.launch.running.follow import Follower
from bertkit.launch.running.hints import DISK_FULL, OUT_OF_MEMORY, Hint, hint_for
from bertkit.launch.running.live import duration
from bertkit.launch.running.metrics import finite
from bertkit.launch.running.supervise import Outcome, Verdict


@dataclass(frozen=True)
class Result:
    """What a finished run has to show."""

    job: str
    model: str
    device: str
    ranks: int
    seconds: float
    steps: Optional[int]
    first_loss: Optional[float]
    last_loss: Optional[float]
    mlm_loss: Optional[float]
    nsp_loss: Optional[float]
    sentences_per_second: Optional[float]
    evaluation: Mapping[str, Optional[float]]
    checkpoint: Optional[str]
    logs: str
    record: str

    def as_dict(self) -> Dict[str, Any]:
        """The result as JSON values; a number that is none (a lost loss) is null."""
        shown = {
            name: finite(value) if isinstance(value, float) else value
            for name, value in asdict(self).items()
        }
        shown["evaluation"] = {name: finite(value) for name, value in self.evaluation.items()}
        return shown

    def over(self, seconds: float) -> Result:
        """The same after *seconds*, of all attempts together."""
        return replace(self, seconds=round(seconds, 1))

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Result:
        """A result as ``run.json`` keeps it."""
        names = {each.name for each in fields(cls)}
        known = {name: each for name, each in value.items() if name in names}
        return cls(**known)


def result_of(plan: Plan, outcome: Outcome, follower: Follower, record: Path) -> Result:
    """What *plan*'s run has to show; the outcome may be a failure."""
    seen = follower.seen
    rates = [each.sentences_per_second for each in seen if each.sentences_per_second]
    rate = follower.reader.examples_per_second
    if rates:
        # The first report contains the building of the graph.
        steady = sorted(rates[1:] or rates)
        rate = steady[len(steady) // 2]
    last = seen[-1] if seen else None
    found = newest_checkpoint(plan)
    prefix, step = (str(found.prefix), found.step) if found else (None, None)
    if tells(plan):
        prefix, step = told.newest_checkpoint(Path(plan.run_directory)) or (None, None)
    return Result(
        job=plan.job,
        model=plan.model,
        device=plan.device,
        ranks=plan.ranks,
        seconds=round(outcome.seconds, 1),
        steps=step if step is not None else last.step if last else None,
        first_loss=seen[0].loss if seen else None,
        last_loss=last.loss if last and last.loss is not None else follower.reader.final_loss,
        mlm_loss=last.mlm_loss if last else None,
        nsp_loss=last.nsp_loss if last else None,
        sentences_per_second=round(rate, 1) if rate else None,
        evaluation=evaluation.written(plan),
        checkpoint=prefix,
        logs=str(Path(plan.run_directory) / "ranks"),
        record=str(record),
    )


def newest_checkpoint(plan: Plan) -> Optional[checkpoints.Checkpoint]:
    """The newest whole checkpoint that the run has left, if it has left one."""
    try:
        return checkpoints.of_run(Path(plan.output))
    except BertkitError:
        return None  # half a one only


def failure_of(
    plan: Plan, outcome: Outcome, follower: Follower, result: Result
) -> Optional[RunFailed]:
    """Why the run is no success, in words for people; None if it is one."""
    again = "run the same command again"
    if result.checkpoint is not None:
        again = f"the same command with --resume goes on from step {result.steps}"
    after = duration(outcome.seconds)
    if outcome.interrupted is not None:
        return RunFailed(
            f"{plan.job} was interrupted after {after}; all ranks have ended",
            code=outcome.code,
            where=plan.output,
            next_step=again,
        )
    if outcome.stall is not None:
        return RunFailed(
            f"{plan.job} hung after {after}: {outcome.stall.words}",
            code=outcome.code,
            where=result.logs,
            why="; ".join(outcome.stall.lines) or None,
            next_step=f"read {result.logs}/N.stack; then {again}",
        )
    if outcome.verdict is Verdict.LOSS_LOST:
        return _lost_loss(plan, outcome, follower, result)
    if outcome.failure is not None:
        return _first(plan, outcome.failure, after, again)
    if result.checkpoint is None:
        return RunFailed(
            f"{plan.job} ended well but left no whole checkpoint",
            code=1,
            where=plan.output,
            next_step=f"look into {result.logs}/0.log",
        )
    return None


def known_cause(failure: Failure) -> Optional[Hint]:
    """The cause of *failure*, where it is known."""
    if failure.out_of_memory:
        return OUT_OF_MEMORY
    found = hint_for(failure.last_lines) or hint_for(failure.text)
    # Where the disk is full, the log could not take the words that say so.
    return found or (DISK_FULL if _full(failure.log.parent) else None)


def _full(directory: Path) -> bool:
    try:
        return shutil.disk_usage(directory).free < 1 << 20
    except OSError:
        return False


def good_until(follower: Follower) -> Optional[int]:
    """The last step whose checkpoint is surely good, where the loss was lost later; -1: none.

    The loss of step N comes from the weights that a checkpoint of step N - 1 holds.
    """
    if follower.reader.lost_at is None:
        return None
    last = follower.reader.last_finite_step
    return -1 if last is None else max(0, last - 1)


def _first(plan: Plan, failure: Failure, after: str, again: str) -> RunFailed:
    hint = known_cause(failure)
    why = telling(failure.text or failure.last_lines)
    if hint is not None:
        why = f"{hint.cause}: {why}" if why else hint.cause
    return RunFailed(
        f"{plan.job} failed after {after}: {failure.who}: {failure.words}",
        code=failure.code,
        where=failure.log,
        why=why,
        next_step=f"{hint.next_step}; then {again}"
        if hint
        else f"read {failure.log}; then {again}",
    )


def _lost_loss(plan: Plan, outcome: Outcome, follower: Follower, result: Result) -> RunFailed:
    step, good = follower.reader.lost_at, good_until(follower)
    before = [
        each
        for directory in (Path(plan.output), Path(plan.output) / "worker_0")
        for each in checkpoints.wholes(directory)
        if each.step is not None and good is not None and each.step <= good
    ]
    newest = max(before, key=lambda each: each.step or 0, default=None)
    where = f" here; those of {plan.hosts[0]} are not seen" if tells(plan) else ""
    return RunFailed(
        f"{plan.job}: the loss is not a number any more (step {step})",
        code=outcome.code,
        where=result.logs,
        why=f"the last whole checkpoint from before it is {newest.prefix}"
        if newest
        else f"there is no whole checkpoint from before it{where}",
        next_step="start anew with a lower learning rate"
        + (f": --init-checkpoint {newest.prefix} --output NEW_DIRECTORY" if newest else ""),
    )

"""One training run from the request to its result."""

from __future__ import annotations

import logging
import re
import time
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, TextIO, Tuple

from bertkit.errors import BertkitError, EnvironmentUnfit, RunFailed, SeveralProblems
from bertkit.files import exclusive
from bertkit.launch import checkpoint as checkpoints
from bertkit.launch import node_fitness, preflight, supervise
from bertkit.launch.metrics import Metric, MetricsReader, evaluation, finite
from bertkit.launch.plan import Plan, Request, make_plan
from bertkit.launch.record import Record, put_aside
from bertkit.upstream.lock import Lock, read_lock

log = logging.getLogger("bertkit")

#: seconds between two progress lines where nobody watches live
_SAY_EVERY = 60.0

# "ValueError: ...", "Unknown command line flag 'x'", "...: error: ..."
_ERROR = re.compile(r"\b\w*(Error|Exception)\b:|\bUnknown command line flag\b|\berror:", re.ASCII)


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

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Result:
        """A result as ``run.json`` keeps it."""
        names = {each.name for each in fields(cls)}
        known = {name: each for name, each in value.items() if name in names}
        return cls(**known)


def plan_and_check(
    request: Request, environ: Mapping[str, str], *, resume: bool, init_checkpoint: str
) -> Tuple[Optional[Plan], Optional[Lock], List[BertkitError]]:
    """The plan of *request* if it can be made, and everything that stands in its way.

    Args:
        request: its ``init_checkpoint`` is filled in here.
        environ: the caller's environment.
        resume: the output directory may hold a run.
        init_checkpoint: a prefix, ``auto`` or ``none``.
    """
    trouble: List[BertkitError] = []
    lock = None
    try:
        lock = read_lock(request.repo)
        trouble += preflight.tree_problems(request.repo, lock, request.recipe.script)
    except BertkitError as error:
        trouble.append(error)
    goes_on = resume and checkpoints.leftovers(request.output)  # from its own checkpoint
    try:
        start, remarks = preflight.starting_point(
            request.output,
            "none" if goes_on and init_checkpoint == "auto" else init_checkpoint,
            request.recipe.starts_from,
        )
        request = replace(request, init_checkpoint=start, remarks=tuple(remarks))
    except BertkitError as error:
        trouble.append(error)
    trouble += preflight.output_problems(request.output)
    try:
        plan = make_plan(request, environ)
    except BertkitError as error:
        return None, lock, [*trouble, error]
    trouble += preflight.data_problems(plan)
    trouble += preflight.checkpoint_problems(plan)
    trouble += preflight.resume_problems(plan, resume)
    try:
        facts = preflight.ask(request, plan, lock)
        wanted = preflight.wanted(request, plan, lock)
        trouble += node_fitness.problems(facts, wanted)
        plan = replace(plan, remarks=(*plan.remarks, *node_fitness.remarks(facts, wanted)))
    except BertkitError as error:
        trouble.append(error)
    return plan, lock, trouble


def refuse(trouble: List[BertkitError]) -> None:
    """Raise what stands in the way, if anything does: all of it at once."""
    if len(trouble) == 1:
        raise trouble[0]
    if trouble:
        raise SeveralProblems(trouble)


def execute(plan: Plan, lock: Lock) -> Result:
    """Run *plan* and keep its record.

    Raises:
        RunFailed: a rank failed, or the run was interrupted; carries the exit code.
    """
    run_directory = Path(plan.run_directory)
    try:
        run_directory.mkdir(parents=True, exist_ok=True)
        with exclusive(run_directory / "lock", purpose=f"train into {plan.output}", wait=False):
            put_aside(run_directory)
            (run_directory / "ranks").mkdir()
            (run_directory / "dllog").mkdir()
            return _recorded(plan, Record(plan, lock))
    except OSError as error:
        raise EnvironmentUnfit(
            "the run cannot be started or kept on disk",
            where=error.filename or plan.output,
            why=error.strerror or str(error),
            next_step="free some space or mend the permissions, or take another --output DIR",
        ) from None


def _recorded(plan: Plan, record: Record) -> Result:
    """Run *plan*, and note its end in *record* however it ends."""
    try:
        with (record.path.parent / "metrics.jsonl").open("w", encoding="utf-8") as stream:
            follower = _Follower(plan, stream)
            outcome = supervise.run(plan, follower.look)
    except BaseException as error:
        record.finish(1, {"failure": f"bertkit itself: {type(error).__name__}: {error}"})
        raise
    result = _result(plan, outcome, follower, record.path)
    failure: Optional[RunFailed] = None
    if outcome.code != 0:
        failure = _failure(plan, outcome, result)
    elif result.checkpoint is None:
        failure = RunFailed(
            f"{plan.job} ended well but left no whole checkpoint",
            code=1,
            where=plan.output,
            next_step=f"look into {result.logs}/0.log",
        )
    record.finish(
        failure.exit_code if failure else 0,
        {**result.as_dict(), "failure": str(failure) if failure else None},
    )
    if failure is not None:
        raise failure
    return result


class _Follower:
    """Writes down new metrics and says how far the run is."""

    def __init__(self, plan: Plan, stream: TextIO) -> None:
        self._plan = plan
        self._stream = stream
        self.reader = MetricsReader(
            Path(plan.run_directory),
            dllogger=any(flag.startswith("--dllog_path=") for flag in plan.script),
        )
        self.seen: List[Metric] = []
        self._said = 0.0
        self._started = time.monotonic()

    def look(self) -> None:
        fresh = self.reader.read()
        for metric in fresh:
            self._stream.write(metric.as_json() + "\n")
        if not fresh:
            return
        self._stream.flush()
        self.seen += fresh
        now = time.monotonic()
        first = len(self.seen) == len(fresh)
        if first or now - self._said >= _SAY_EVERY:
            self._said = now
            log.info("  %s", self._line(fresh[-1]))

    def _line(self, metric: Metric) -> str:
        total = self._plan.numbers.get("steps")
        parts = [f"step {metric.step}" + (f" of {total}" if total else "")]
        parts.append(f"loss {metric.loss:.3f}")
        if metric.sentences_per_second:
            parts.append(f"{metric.sentences_per_second:.1f} sentences/s")
            if total and total > metric.step and "global_batch" in self._plan.numbers:
                left = (total - metric.step) * self._plan.numbers["global_batch"]
                parts.append(f"about {_duration(left / metric.sentences_per_second)} left")
        return ", ".join(parts)


def _result(plan: Plan, outcome: supervise.Outcome, follower: _Follower, record: Path) -> Result:
    seen = follower.seen
    rates = [each.sentences_per_second for each in seen if each.sentences_per_second]
    rate = follower.reader.examples_per_second
    if rates:
        # The first report contains the building of the graph.
        steady = sorted(rates[1:] or rates)
        rate = steady[len(steady) // 2]
    last = seen[-1] if seen else None
    found = None
    try:
        found = checkpoints.of_run(Path(plan.output))
    except BertkitError as error:
        log.warning("%s", error)
    return Result(
        job=plan.job,
        model=plan.model,
        device=plan.device,
        ranks=plan.ranks,
        seconds=round(outcome.seconds, 1),
        steps=found.step if found else last.step if last else None,
        first_loss=seen[0].loss if seen else None,
        last_loss=last.loss if last else follower.reader.final_loss,
        mlm_loss=last.mlm_loss if last else None,
        nsp_loss=last.nsp_loss if last else None,
        sentences_per_second=round(rate, 1) if rate else None,
        evaluation=evaluation(Path(plan.output)),
        checkpoint=str(found.prefix) if found else None,
        logs=str(Path(plan.run_directory) / "ranks"),
        record=str(record),
    )


def _failure(plan: Plan, outcome: supervise.Outcome, result: Result) -> RunFailed:
    again = "run the same command again"
    if result.checkpoint is not None:
        again = f"the same command with --resume goes on from step {result.steps}"
    if outcome.interrupted is not None:
        return RunFailed(
            f"{plan.job} was interrupted after {_duration(outcome.seconds)}; all ranks have ended",
            code=outcome.code,
            where=plan.output,
            next_step=again,
        )
    failure = outcome.failure
    assert failure is not None
    who = "the launcher" if failure.rank is None else f"rank {failure.rank} on {failure.host}"
    for line in failure.last_lines:
        log.warning("  | %s", line)
    return RunFailed(
        f"{plan.job} failed after {_duration(outcome.seconds)}: {who}: {failure.words}",
        code=failure.code,
        where=failure.log,
        why=_telling(failure.last_lines),
        next_step=f"read {failure.log}; then {again}",
    )


def _telling(lines: List[str]) -> Optional[str]:
    """Of a log's last lines the one that says most: the last that speaks of an error, if any."""
    if not lines:
        return None
    errors = [line for line in lines if _ERROR.search(line)]
    return (errors or lines)[-1].strip()[:300]


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"

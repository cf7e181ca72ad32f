"""One training run from the request to its result."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, List, Mapping, Optional, Tuple

from bertkit.errors import BertkitError, EnvironmentUnfit, SeveralProblems
from bertkit.files import exclusive
from bertkit.launch import preflight, roll_call, starting
from bertkit.launch.checkpoints import checkpoint as checkpoints
from bertkit.launch.checks import data_fitness, disk
from bertkit.launch.nodes import fitness as node_fitness
from bertkit.launch.nodes.asking import PATIENCE
from bertkit.launch.plan import Plan, Request, make_plan
from bertkit.launch.recipes.job import patch_problems
from bertkit.launch.running import attempts
from bertkit.launch.running.attempts import Supervision
from bertkit.launch.running.result import Result as Result
from bertkit.upstream.lock import Lock, read_lock


def plan_and_check(
    request: Request,
    environ: Mapping[str, str],
    *,
    resume: bool,
    init_checkpoint: str,
    dry_run: bool = False,
    patience: float = PATIENCE,
) -> Tuple[Optional[Plan], Optional[Lock], List[BertkitError]]:
    """The plan of *request* if it can be made, and everything that stands in its way.

    Args:
        request: its ``init_checkpoint`` and a device that is ``auto`` are filled in here.
        environ: the caller's environment.
        resume: the output directory may hold a run.
        init_checkpoint: a prefix, ``auto``, ``pretrained`` or ``none``.
        dry_run: change nothing; other nodes are asked once.
        patience: seconds that other nodes get to answer.
    """
    trouble: List[BertkitError] = []
    lock = None
    present = roll_call.alone(request)
    try:
        present = roll_call.call(request, environ, 0 if dry_run else patience)
    except BertkitError as error:
        trouble.append(error)
    request = present.request
    try:
        lock = read_lock(request.repo)
        trouble += preflight.tree_problems(request.repo, lock, request.recipe.script)
        carried = [each.id for each in lock.patches]
        trouble += patch_problems(request.recipe, request.options, carried, request.repo)
    except BertkitError as error:
        trouble.append(error)
    goes_on = resume and checkpoints.leftovers(request.output)  # from its own checkpoint
    try:
        asked = (request.recipe, request.model, request.data, request.output)
        if goes_on and init_checkpoint == "auto":
            start = starting.resumed(*asked)
        else:
            start = starting.find(*asked, init_checkpoint)
        request = replace(
            request,
            init_checkpoint=start.checkpoint,
            pretrained=start.model,
            remarks=(*request.remarks, *start.remarks),
        )
    except BertkitError as error:
        trouble.append(error)
    trouble += preflight.output_problems(request.output)
    try:
        plan = make_plan(request, environ, present.machine)
    except BertkitError as error:
        return None, lock, [*trouble, error]
    trouble += data_fitness.problems(plan, request.data)
    trouble += preflight.checkpoint_problems(plan)
    trouble += preflight.resume_problems(plan, resume)
    trouble += preflight.card_choice_problems(request, plan)
    try:
        facts = preflight.ask(request, plan, lock)
        if not request.hosts:
            wanted = preflight.wanted(request, plan, lock)
            trouble += node_fitness.problems(facts, wanted)
            plan = replace(plan, remarks=(*plan.remarks, *node_fitness.remarks(facts, wanted)))
        elif present.machine is not None:  # they have answered
            found = roll_call.inspect(request, plan, lock, facts, probe=not dry_run, resume=resume)
            plan, facts = found.plan, found.keeper
            trouble += found.problems
        trouble += disk.problems(plan, facts, resumed=resume)
    except BertkitError as error:
        trouble.append(error)
    return plan, lock, trouble


def refuse(trouble: List[BertkitError]) -> None:
    """Raise what stands in the way, if anything does: all of it at once."""
    if len(trouble) == 1:
        raise trouble[0]
    if trouble:
        raise SeveralProblems(trouble)


def execute(
    plan: Plan,
    lock: Lock,
    supervision: Supervision = Supervision(),  # noqa: B008 - frozen
    options: Optional[Mapping[str, Any]] = None,
) -> Result:
    """Run *plan* and keep its record.

    Args:
        plan: what to run.
        lock: what the checkout is.
        supervision: how long it may stand still, how often it may start again.
        options: those of the command line, for the record; ``bertkit rerun`` starts from them.

    Raises:
        RunFailed: a rank failed, or the run was interrupted; carries the exit code.
    """
    run_directory = Path(plan.run_directory)
    try:
        run_directory.mkdir(parents=True, exist_ok=True)
        with exclusive(run_directory / "lock", purpose=f"train into {plan.output}", wait=False):
            return attempts.run(plan, lock, supervision, options)
    except OSError as error:
        raise EnvironmentUnfit(
            "the run cannot be started or kept on disk",
            where=error.filename or plan.output,
            why=error.strerror or str(error),
            next_step="free some space or mend the permissions, or take another --output DIR",
        ) from None

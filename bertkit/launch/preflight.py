"""What must be right before any rank starts. Every check only looks; nothing is changed."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import List, Mapping, Optional, Tuple

from bertkit.devices import visible
from bertkit.errors import BertkitError, DataDamaged, EnvironmentUnfit, PatchMisfit, UsageProblem
from bertkit.launch.checkpoints import checkpoint as checkpoints
from bertkit.launch.nodes import fitness as node_fitness
from bertkit.launch.nodes import modules
from bertkit.launch.nodes import question as node_ask
from bertkit.launch.nodes.facts import Facts
from bertkit.launch.plan import RUN_DIRECTORY, Plan, Request
from bertkit.launch.running import record
from bertkit.upstream import catalogue
from bertkit.upstream.lock import Lock, differences

#: what every job of upstream imports
ALWAYS = ("tensorflow", "dllogger", "habana_frameworks")


def tree_problems(repo: Path, lock: Lock, script: str) -> List[BertkitError]:
    """Where the checkout is not what its lock says."""
    changed = differences(repo, lock)
    if not changed and not (repo / script).is_file():
        changed = [f"{script}: missing"]
    if not changed:
        return []
    return [
        PatchMisfit(
            "the checkout is not what its lock says",
            where=repo,
            why="; ".join(changed),
            next_step=f"bertkit patches status --repo {repo}",
        )
    ]


def output_problems(output: Path) -> List[BertkitError]:
    """Why nothing can be written to *output*."""
    existing = output
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    if (output / RUN_DIRECTORY).is_dir():
        existing = output / RUN_DIRECTORY
    if existing.is_dir() and os.access(existing, os.W_OK | os.X_OK):
        return []
    return [
        EnvironmentUnfit(
            "the output directory cannot be written to",
            where=output,
            why=f"{existing} is {'not writable' if existing.is_dir() else 'not a directory'}",
            next_step="take another: --output DIR",
        )
    ]


def resume_problems(plan: Plan, resume: bool) -> List[BertkitError]:
    """Whether what lies in the output directory and ``--resume`` fit together."""
    output = Path(plan.output)
    holds_checkpoints = checkpoints.leftovers(output)
    if not resume:
        if not holds_checkpoints:
            return []
        why = "TensorFlow would go on from its last checkpoint"
        hint = "--resume goes on with it; --output DIR takes another place"
        return [_refused("the output directory already holds a run", plan, why, hint)]
    earlier = record.read(output)
    if earlier is None and not holds_checkpoints:
        return [_refused("there is no run to resume", plan, None, "leave --resume out")]
    if earlier is not None:
        was = (earlier["plan"]["job"], earlier["plan"].get("model"))
        if was != (plan.job, plan.model):
            why = f"it is {was[0]}, {was[1]} model; this is {plan.job}, {plan.model} model"
            hint = "take its own --output DIR"
            return [_refused("the output directory holds another job's run", plan, why, hint)]
    try:
        done = checkpoints.newest(output)
    except DataDamaged as error:
        return [
            DataDamaged(
                "the run cannot be resumed: no checkpoint of it is whole",
                where=error.where,
                why=error.why,
                next_step=f"remove {error.where}.* and run the same command without --resume",
            )
        ]
    steps = plan.numbers.get("steps")
    if done is not None and done.step is not None and steps is not None and done.step >= steps:
        # Upstream's script trains nothing then and fails at its end.
        hint = f"--steps with more than {done.step}, or another --output DIR"
        return [_refused(f"the run is finished: {done.step} of {steps} steps", plan, None, hint)]
    return []


def card_choice_problems(request: Request, plan: Plan) -> List[BertkitError]:
    """Whether the caller's variables leave each rank of a node a card of its own."""
    if request.device != "hpu":
        return []
    try:
        visible.modules_of_ranks(plan.environment, request.cards)
    except EnvironmentUnfit as error:
        return [error]
    return []


def question(
    request: Request,
    plan: Plan,
    lock: Optional[Lock],
    probe: Optional[Mapping[str, str]] = None,
) -> str:
    """What each node of the run is asked, as the argument of ``launchers/node.py``.

    *probe* is a file to look for in the output directory.
    """
    names = ALWAYS + request.recipe.modules + (("horovod",) if plan.ranks > 1 else ())
    if lock is not None:
        names = modules.needed_by(lock.release, names)
    return node_ask.question(
        directory=plan.working_directory,  # where the ranks start
        repo=None if lock is None else str(request.repo),
        files=(request.recipe.script, *request.recipe.evaluation[:1]),
        modules=names,
        needs=plan.needs,
        checkpoint=plan.starts_from,
        output=plan.output,
        probe=probe,
        open_devices=request.device == "hpu",
    )


def wanted(request: Request, plan: Plan, lock: Optional[Lock]) -> node_fitness.Wanted:
    """What the run wants of each node."""
    modules: Tuple[int, ...] = ()
    with contextlib.suppress(EnvironmentUnfit):  # card_choice_problems says it
        modules = visible.modules_of_ranks(plan.environment, request.cards)
    return node_fitness.Wanted(
        device=request.device,
        cards=request.cards,
        ranks=plan.ranks,
        release=None if lock is None else lock.release,
        tensorflow=() if lock is None else catalogue.find(lock.release).tensorflow,
        python=str(request.python),
        modules=modules if request.cards > 1 else (),
    )


def ask(request: Request, plan: Plan, lock: Optional[Lock]) -> Facts:
    """The facts of this machine, as the ranks will find it.

    Raises:
        EnvironmentUnfit: the ranks' Python does not answer.
    """
    return node_ask.ask_here(request.python, plan.environment, question(request, plan, lock))


def checkpoint_problems(plan: Plan) -> List[BertkitError]:
    """Why the checkpoint does not fit the model."""
    if plan.starts_from is None:
        return []
    found = checkpoints.inspect(Path(plan.starts_from))
    misfit = checkpoints.fits(found, Path(plan.needs["bert_config"]))
    if misfit is None:
        return []
    return [
        DataDamaged(
            f"the checkpoint does not fit the {plan.model} model",
            where=plan.starts_from,
            why=misfit,
            next_step="name the --model it was trained with, or another --init-checkpoint",
        )
    ]


def _refused(what: str, plan: Plan, why: Optional[str], next_step: str) -> UsageProblem:
    return UsageProblem(what, where=plan.output, why=why, next_step=next_step)

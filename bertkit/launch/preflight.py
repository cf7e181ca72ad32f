"""What must be right before any rank starts. Every check only looks; nothing is changed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import List, Optional

from bertkit.errors import BertkitError, DataDamaged, EnvironmentUnfit, PatchMisfit, UsageProblem
from bertkit.launch import checkpoint as checkpoints
from bertkit.launch import modules
from bertkit.launch.plan import Plan, Request
from bertkit.upstream import catalogue
from bertkit.upstream.lock import Lock, differences

#: what every job of upstream imports
_ALWAYS = ("tensorflow", "dllogger", "habana_frameworks")


def starting_point(request_output: Path, asked: str, starts_from: Optional[str]) -> Optional[Path]:
    """The checkpoint to start from: as asked, or the newest whole one of the job before.

    Args:
        request_output: the run's output directory; the job before lies beside it.
        asked: a prefix, ``none``, or ``auto``.
        starts_from: the job before, or None.

    Raises:
        DataDamaged: there is none, or only half of one.
    """
    if asked == "none" or (asked == "auto" and starts_from is None):
        return None
    if asked != "auto":
        return checkpoints.inspect(Path(asked).absolute()).prefix
    assert starts_from is not None
    before = request_output.parent / starts_from
    found = checkpoints.newest(before)
    if found is None:
        raise DataDamaged(
            f"no checkpoint of {starts_from} to start from",
            where=before,
            next_step=f"train {starts_from} first, or name one: --init-checkpoint PREFIX",
        )
    return found.prefix


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


def data_problems(plan: Plan) -> List[BertkitError]:
    """What is missing from the data that the job needs."""
    trouble: List[BertkitError] = []
    sample = "bertkit data sample --data DIR makes a small set"
    for name, text in plan.needs.items():
        path = Path(text)
        if not path.exists():
            trouble.append(
                DataDamaged(f"{name.replace('_', ' ')}: not there", where=path, next_step=sample)
            )
        elif path.is_dir() and not any(path.iterdir()):
            trouble.append(
                DataDamaged(f"{name.replace('_', ' ')}: empty", where=path, next_step=sample)
            )
        elif name == "training_records":
            trouble += _too_few_files(path, plan.ranks)
    return trouble


def output_problems(output: Path, resume: bool, steps: Optional[float]) -> List[BertkitError]:
    """Why the run cannot write to *output*; *steps* is how many the job has, if it counts them."""
    existing = output
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        return [
            EnvironmentUnfit(
                "the output directory cannot be written to",
                where=output,
                why=f"{existing} is {'not writable' if existing.is_dir() else 'not a directory'}",
                next_step="take another: --output DIR",
            )
        ]
    if output.exists() and not resume and checkpoints.leftovers(output):
        return [
            UsageProblem(
                "the output directory already holds a run",
                where=output,
                why="TensorFlow would go on from its last checkpoint",
                next_step="--resume goes on with it; --output DIR takes another place",
            )
        ]
    done = checkpoints.newest(output) if resume and steps is not None else None
    if done is not None and done.step is not None and steps is not None and done.step >= steps:
        # Upstream's script trains nothing then and fails at its end.
        return [
            UsageProblem(
                f"the run is finished: {done.step} of {steps} steps",
                where=output,
                next_step=f"--steps with more than {done.step}, or another --output DIR",
            )
        ]
    return []


def environment_problems(request: Request, plan: Plan, lock: Lock) -> List[BertkitError]:
    """What the ranks' Python lacks for this job and this release."""
    names = _ALWAYS + request.recipe.modules + (("horovod",) if plan.ranks > 1 else ())
    found = modules.probe(request.python, plan.environment, names)
    wanted = catalogue.find(lock.release).tensorflow
    return modules.problems(found, request.python, lock.release, wanted)


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


def _too_few_files(directory: Path, ranks: int) -> List[BertkitError]:
    files = [path for path in directory.iterdir() if path.is_file()]
    empty = [path.name for path in files if path.stat().st_size == 0]
    if empty:
        return [
            DataDamaged(
                f"{len(empty)} empty files among the training records",
                where=directory / empty[0],
                next_step="make them again: bertkit data sample --data DIR",
            )
        ]
    if len(files) < ranks:
        # Upstream deals whole files to ranks; with too few it only warns, and gives all ranks
        # the same file (run_pretraining.py, "OVERFIT test").
        return [
            DataDamaged(
                f"{len(files)} files of training records for {ranks} ranks",
                where=directory,
                why="upstream deals whole files to ranks",
                next_step=f"take --cards {max(1, len(files))}, or make more files",
            )
        ]
    return []

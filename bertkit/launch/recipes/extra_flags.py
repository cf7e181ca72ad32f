"""Flags of upstream's own, given behind ``--``: which may be changed, and which follow the plan."""

from __future__ import annotations

import re
from typing import Dict, List, Mapping, Optional, Sequence, Set

from bertkit.errors import UsageProblem
from bertkit.launch.recipes.job import Job, name_of
from bertkit.launch.recipes.recipe import Recipe, placeholders
from bertkit.launch.recipes.script_flags import ScriptFlags

_FORM = re.compile(r"--(?P<name>[A-Za-z]\w*)(=.*)?", re.DOTALL)
#: what bertkit itself adds, and the option that changes it
_INSTEAD = {
    "output_dir": "--output",
    "num_train_steps": "--steps",
    "init_checkpoint": "--init-checkpoint",
    "bert_config_file": "--model",
    "input_files_dir": "--data",
    "data_dir": "--data",
    "train_file": "--data",
    "predict_file": "--data",
    "vocab_file": "--data",
    "train_batch_size": "--batch or --global-batch",
    "horovod": "--cards",
    "use_horovod": "--cards",
}


def check(
    recipe: Recipe,
    job: Job,
    model: str,
    extra: Sequence[str],
    known: Optional[ScriptFlags],
) -> List[str]:
    """Remarks on *extra*: the recipe's flags whose place they take.

    Args:
        recipe: the job's.
        job: the recipe with the options that were chosen.
        model: ``large``, ``base`` or ``tiny``.
        extra: what stands behind ``--``.
        known: what the script understands; None: it cannot be read.

    Raises:
        UsageProblem: one is no flag, or the script has none of that name, or it sets what follows
            from the plan: then what the plan says of the run would not be true.
    """
    ours = _by_name([*job.flags, recipe.horovod_flag])
    instead = {**_of_options(recipe), **_INSTEAD}
    follows = _what_follows(recipe, job, model)
    remarks = []
    for flag in extra:
        match = _FORM.fullmatch(flag)
        if match is None:
            raise UsageProblem(
                f"{flag!r} is no flag of upstream's",
                why="behind -- stand upstream's own flags, each as --name=value",
                next_step="bertkit train --help",
            )
        name = _plain(match.group("name"), {*ours, *instead})
        if name in instead or placeholders(ours.get(name, "")) & follows:
            raise UsageProblem(
                f"--{name} follows from the plan",
                why=f"given as {flag}" + (f", the recipe has {ours[name]}" if name in ours else ""),
                next_step=f"use bertkit's own {instead[name]}"
                if name in instead
                else "the recipe's numbers are printed by --dry-run",
            )
        if known is not None:
            _refuse_unknown(flag, match.group("name"), "=" in flag, known)
        if name in ours:
            remarks.append(f"{flag} takes the place of the recipe's {ours[name]}")
    return remarks


def _refuse_unknown(flag: str, name: str, has_value: bool, known: ScriptFlags) -> None:
    if not known.knows(name):
        near = [f"--{each}" for each in known.nearest(name)]
        raise UsageProblem(
            f"--{name} is no flag of {known.script.name} of this release",
            where=known.script,
            why=f"the nearest: {', '.join(near)}" if near else None,
            next_step=f"write {near[0]}" if near else "leave it out",
        )
    if not has_value and not known.is_switch(name):
        raise UsageProblem(
            f"{flag} has no value",
            where=known.script,
            why="it would take the next word for it",
            next_step=f"write --{name}=VALUE",
        )


def _by_name(flags: Sequence[str]) -> Dict[str, str]:
    """Name of a flag, without a leading ``no``, to the flag as the recipe has it."""
    named = {name_of(flag): flag for flag in flags}
    return {name[2:] if name.startswith("no") else name: flag for name, flag in named.items()}


def _of_options(recipe: Recipe) -> Mapping[str, str]:
    """Name of a flag that an option of bertkit's sets, to that option."""
    return {
        name_of(flag): f"--{option}"
        for option, what in recipe.options.items()
        for flag in (*what.flags, *what.flags_if_known)
        if name_of(flag) != "max_eval_steps"  # only how long
    }


def _plain(name: str, ours: Set[str]) -> str:
    without = name[2:] if name.startswith("no") else name
    return without if without in ours else name


def _what_follows(recipe: Recipe, job: Job, model: str) -> Set[str]:
    """The placeholders of the flags that are not free: paths, steps, and the formulas' numbers."""
    formulas = {**recipe.formulas, **job.formulas}
    text = " ".join(formulas.values())
    used = {name for name in recipe.numbers_for(model) if re.search(rf"\b{name}\b", text)}
    given = {"output", "bert_config", "run_directory", "steps"}
    return given | used | set(job.needs) | set(formulas)

"""Flags of upstream's own, given behind ``--``: which may be changed, and which follow the plan."""

from __future__ import annotations

import re
from typing import Dict, List, Sequence, Set

from bertkit.errors import UsageProblem
from bertkit.launch.recipe import Recipe, placeholders

_FORM = re.compile(r"--(?P<name>[A-Za-z]\w*)(=.*)?", re.DOTALL)
#: what bertkit itself adds, and the option that changes it
_INSTEAD = {
    "output_dir": "--output",
    "num_train_steps": "--steps",
    "init_checkpoint": "--init-checkpoint",
    "bert_config_file": "--model",
    "input_files_dir": "--data",
    "data_dir": "--data",
    "vocab_file": "--data",
    "horovod": "--cards",
    "use_horovod": "--cards",
}


def check(recipe: Recipe, model: str, extra: Sequence[str]) -> List[str]:
    """Remarks on *extra*: the recipe's flags whose place they take.

    Raises:
        UsageProblem: one is no flag, or sets what follows from the plan: then what the plan says
            of the run would not be true.
    """
    ours = _flags_of(recipe)
    follows = _what_follows(recipe, model)
    remarks = []
    for flag in extra:
        match = _FORM.fullmatch(flag)
        if match is None:
            raise UsageProblem(
                f"{flag!r} is no flag of upstream's",
                why="behind -- stand upstream's own flags, each as --name=value",
                next_step="bertkit train --help",
            )
        name = _plain(match.group("name"), ours)
        if name in _INSTEAD or placeholders(ours.get(name, "")) & follows:
            raise UsageProblem(
                f"--{name} follows from the plan",
                why=f"given as {flag}",
                next_step=f"use bertkit's own {_INSTEAD[name]}"
                if name in _INSTEAD
                else "the recipe's numbers are printed by --dry-run",
            )
        if name in ours:
            remarks.append(f"{flag} takes the place of the recipe's {ours[name]}")
    return remarks


def _flags_of(recipe: Recipe) -> Dict[str, str]:
    """Name of a flag, without a leading ``no``, to the flag as the recipe has it."""
    flags = [*recipe.flags, recipe.horovod_flag]
    named = {flag[2:].split("=", 1)[0]: flag for flag in flags}
    return {name[2:] if name.startswith("no") else name: flag for name, flag in named.items()}


def _plain(name: str, ours: Dict[str, str]) -> str:
    without = name[2:] if name.startswith("no") else name
    return without if without in ours or without in _INSTEAD else name


def _what_follows(recipe: Recipe, model: str) -> Set[str]:
    """The placeholders of the flags that are not free: paths, steps, and the formulas' numbers."""
    formulas = " ".join(recipe.formulas.values())
    used = {name for name in recipe.numbers_for(model) if re.search(rf"\b{name}\b", formulas)}
    given = {"output", "bert_config", "run_directory", "steps"}
    return given | used | set(recipe.needs) | set(recipe.formulas)

"""A recipe with the options that were chosen, as far as the release's script allows it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from bertkit.errors import BertkitError, PatchMisfit, UsageProblem
from bertkit.launch.recipes.recipe import Option, Recipe
from bertkit.launch.recipes.script_flags import ScriptFlags


@dataclass(frozen=True)
class Job:
    """What is left of a recipe when the options are decided; see :class:`Recipe` for each."""

    needs: Mapping[str, str]
    formulas: Mapping[str, str]
    flags: Tuple[str, ...]


def assemble(recipe: Recipe, chosen: Sequence[str], known: Optional[ScriptFlags]) -> Job:
    """*recipe* with the options *chosen*.

    Args:
        recipe: the job.
        chosen: names of options.
        known: what the script understands; None: the script cannot be read.

    Raises:
        UsageProblem: the job, or the script of this release, does not offer an option.
    """
    needs: Dict[str, str] = dict(recipe.needs)
    formulas: Dict[str, str] = {}
    flags = [*recipe.flags, *_known(recipe.flags_if_known, known)]
    for name in chosen:
        option = _offered(recipe, name, known)
        needs.update(option.needs)
        formulas.update(option.formulas)
        flags += option.flags
        flags += _known(option.flags_if_known, known)
    unknown = [] if known is None else [each for each in flags if not known.knows(name_of(each))]
    if unknown:
        assert known is not None
        raise UsageProblem(
            f"{known.script.name} of this release knows no {' or '.join(map(_start, unknown))}",
            where=known.script,
            why="that release cannot do what was asked for",
            next_step=f"leave out {_asks_for(recipe, unknown) or 'this job'}, "
            "or take a newer release: bertkit prepare-repo --synapse-version X.Y.Z",
        )
    return Job(needs, formulas, _last_of_each(flags))


def patch_problems(
    recipe: Recipe, chosen: Sequence[str], patches: Iterable[str], repo: Path
) -> List[BertkitError]:
    """The options that need a patch which the checkout does not carry."""
    wanted = {name: recipe.options[name].patch for name in chosen if name in recipe.options}
    carried = set(patches)
    return [
        PatchMisfit(
            f"--{name} needs the patch {patch}",
            where=repo,
            why="the checkout was prepared without it",
            next_step=f"bertkit patches apply --repo {repo}",
        )
        for name, patch in wanted.items()
        if patch is not None and patch not in carried
    ]


def name_of(flag: str) -> str:
    """``learning_rate`` of ``--learning_rate=1``."""
    return flag[2:].split("=", 1)[0]


def _offered(recipe: Recipe, name: str, known: Optional[ScriptFlags]) -> Option:
    option = recipe.options.get(name)
    if option is None:
        raise UsageProblem(
            f"--{name} is not for {recipe.job}",
            why=f"it has {', '.join(f'--{each}' for each in recipe.options) or 'no such options'}",
            next_step=f"leave --{name} out",
        )
    if known is not None and option.script_has and not known.words & set(option.script_has):
        raise UsageProblem(
            f"{known.script.name} of this release cannot do --{name}",
            where=known.script,
            why=f"nothing in it is called {' or '.join(option.script_has)}",
            next_step="take a newer release: bertkit prepare-repo --synapse-version X.Y.Z",
        )
    return option


def _known(flags: Iterable[str], known: Optional[ScriptFlags]) -> List[str]:
    return [each for each in flags if known is not None and known.knows(name_of(each))]


def _last_of_each(flags: Iterable[str]) -> Tuple[str, ...]:
    """*flags* with what an option says in the place of what the recipe says."""
    last = {name_of(flag): flag for flag in flags}
    return tuple(last.values())


def _asks_for(recipe: Recipe, unknown: Iterable[str]) -> str:
    """The options that bring the flags *unknown*."""
    bring = [
        f"--{name}" for name, option in recipe.options.items() if set(option.flags) & set(unknown)
    ]
    return " and ".join(bring)


def _start(flag: str) -> str:
    return f"--{name_of(flag)}"

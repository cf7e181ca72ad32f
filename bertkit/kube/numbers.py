"""The numbers of a training job for its ranks, by the same recipe and formulas as ``train``."""

from __future__ import annotations

from typing import Any, Mapping, Tuple

from bertkit.launch import extra_flags
from bertkit.launch.job import assemble
from bertkit.launch.recipe import load
from bertkit.launch.scaling import Sizes, scale


def train_notes(job: str, values: Mapping[str, Any], *, ranks: int) -> Tuple[str, Tuple[str, ...]]:
    """A job's title, and how its numbers came about, in lines.

    Args:
        job: the recipe's name.
        values: the options of ``train``.
        ranks: all of them.

    Raises:
        UsageProblem: the ranks cannot share the batch, or a flag contradicts the plan.
    """
    recipe = load(job)
    model = str(values["model"])
    flags = tuple(values.get("flags") or ())
    # The checkout, which says what its scripts can do, is in the cluster.
    remarks = extra_flags.check(recipe, assemble(recipe, (), None), model, flags, None)
    sizes = Sizes(*(values.get(name) for name in ("steps", "batch", "global_batch")))
    _, derivations = scale(recipe, model, ranks, sizes)
    return f"{recipe.title}, {model} model", (*map(str, derivations), *remarks)

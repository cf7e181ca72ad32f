"""The numbers of a training job for its ranks, by the same recipe and formulas as ``train``."""

from __future__ import annotations

from typing import Any, Mapping, Tuple

from bertkit.launch.recipes import extra_flags, profiling
from bertkit.launch.recipes.job import assemble
from bertkit.launch.recipes.recipe import load
from bertkit.launch.recipes.scaling import Sizes, scale


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
    packed, profile = bool(values.get("packed")), values.get("profile")
    wanted = {"packed": packed, "eval": values.get("evaluate"), "profile": profile is not None}
    # The checkout, which says what its scripts can do, is in the cluster; so is the data.
    chosen = assemble(recipe, [name for name, is_on in wanted.items() if is_on], None)
    remarks = extra_flags.check(recipe, chosen, model, flags, None)
    sizes = Sizes(*(values.get(name) for name in ("steps", "batch", "global_batch")))
    formulas = None if packed else chosen.formulas
    numbers, derivations = scale(recipe, model, ranks, sizes, formulas=formulas)
    if packed:
        remarks.append("what follows from the packs is computed in the pod, from their metadata")
    elif profile is not None:
        profiling.checked(str(profile), numbers)
    return f"{recipe.title}, {model} model", (*map(str, derivations), *remarks)

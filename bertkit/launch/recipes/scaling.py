"""A job's numbers for so many ranks: what the user chose, what the recipe says, what follows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Iterable, List, Mapping, Optional, Tuple

from bertkit.errors import UsageProblem
from bertkit.launch.recipes.formula import Number, evaluate, shown, substituted
from bertkit.launch.recipes.recipe import Recipe

#: that many counts of cards are tried for a way out
_MOST_RANKS = 64


@dataclass(frozen=True)
class Sizes:
    """What the user may choose instead of the recipe's numbers.

    Attributes:
        steps: optimizer steps.
        batch: sequences of one rank in one pass.
        global_batch: sequences of all ranks in one optimizer step.
    """

    steps: Optional[int] = None
    batch: Optional[int] = None
    global_batch: Optional[int] = None

    def given(self) -> Dict[str, Number]:
        """Those that are chosen."""
        chosen = {"steps": self.steps, "batch": self.batch, "global_batch": self.global_batch}
        return {name: value for name, value in chosen.items() if value is not None}


@dataclass(frozen=True)
class Derivation:
    """How one number came about: ``accumulation = global_batch / (batch * ranks) = ... = 512``."""

    name: str
    formula: str
    filled: str
    value: Number

    def __str__(self) -> str:
        steps = [self.name, self.formula, self.filled, shown(self.value)]
        return " = ".join(dict.fromkeys(steps))  # nothing twice: `batch = 8`


def scale(
    recipe: Recipe,
    model: str,
    ranks: int,
    sizes: Sizes = Sizes(),  # noqa: B008 - frozen
    more: Optional[Mapping[str, Number]] = None,
    formulas: Optional[Mapping[str, str]] = None,
) -> Tuple[Dict[str, Number], List[Derivation]]:
    """The job's numbers for *ranks* ranks, and how the derived ones came about.

    Args:
        recipe: the job.
        model: ``large``, ``base`` or ``tiny``.
        ranks: on all nodes together.
        sizes: the user's choice; a number that is chosen is not computed.
        more: numbers from elsewhere, such as the data's.
        formulas: further ones, after the recipe's own.

    Raises:
        UsageProblem: the global batch cannot be shared out equally; names the nearest that can.
    """
    given = _for_this_job(recipe, ranks, sizes)
    values: Dict[str, Number] = {
        **recipe.numbers_for(model), **given, **(more or {}), "ranks": ranks,
    }  # fmt: skip
    derivations = []
    for name, formula in {**recipe.formulas, **(formulas or {})}.items():
        if name in given:
            continue
        value = evaluate(formula, values)
        derivations.append(Derivation(name, formula, substituted(formula, values), value))
        values[name] = value
    if not isinstance(values.get("accumulation", 1), int):
        raise _cannot_share(
            int(values["global_batch"]), int(values["batch"]), ranks, derivations, sizes
        )
    return values, derivations


def _for_this_job(recipe: Recipe, ranks: int, sizes: Sizes) -> Dict[str, Number]:
    """The user's numbers, as this job has them."""
    given = sizes.given()
    if "steps" in given and "steps" not in recipe.formulas:
        raise UsageProblem(
            f"--steps is not for {recipe.job}: its length is given in epochs",
            next_step=f"bertkit train --task {recipe.job} -- --num_train_epochs=1",
        )
    if "global_batch" in given and "accumulation" not in recipe.formulas:
        # No accumulation here: the global batch is what the ranks take at once.
        whole = int(given.pop("global_batch"))
        if whole % ranks or given.get("batch", whole // ranks) != whole // ranks:
            near = " or ".join(
                str(each) for each in _around(whole, int(given.get("batch", 1)) * ranks)
            )
            raise UsageProblem(
                f"{ranks} cards cannot share the global batch of {whole}",
                why=f"{recipe.job} does not accumulate: the global batch is batch * {ranks}",
                next_step=f"take --global-batch {near}, or --batch alone",
            )
        given["batch"] = whole // ranks
    return given


def _cannot_share(
    whole: int, batch: int, ranks: int, derivations: Iterable[Derivation], sizes: Sizes
) -> UsageProblem:
    """The refusal, with the nearest ways out: other cards, another batch, another global batch."""
    how = next(each for each in derivations if each.name == "accumulation")
    ways = []
    counts = [each for each in range(1, _MOST_RANKS + 1) if whole % (batch * each) == 0]
    if counts:
        ways.append(_or(_nearest(counts, ranks)) + " cards")  # on all nodes together
    if whole % ranks == 0:
        batches = [each for each in range(1, whole // ranks + 1) if whole % (each * ranks) == 0]
        ways.append("--batch " + _or(_nearest(batches, batch)))
    ways.append("--global-batch " + _or(_around(whole, batch * ranks)))
    return UsageProblem(
        f"{ranks} cards cannot share the global batch of {whole}",
        why=f"{how}, which is not a whole number",
        next_step="take " + ", or ".join(ways),
    )


def _around(whole: int, unit: int) -> List[int]:
    """The multiples of *unit* below and above *whole*."""
    below = whole // unit * unit
    return [each for each in (below, below + unit) if each > 0]


def _nearest(counts: List[int], to: int) -> List[int]:
    """The largest of *counts* below *to* and the smallest above it."""
    below = [each for each in counts if each < to][-1:]
    return below + [each for each in counts if each > to][:1]


def _or(numbers: Iterable[int]) -> str:
    return " or ".join(map(str, numbers))

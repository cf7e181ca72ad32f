"""Recipes: what a job is, in ``launchers/*.yaml``, read and checked.

A recipe names upstream's script, the data it needs, its numbers (upstream's own for the large and
the base model, small ones for ``tiny``), formulas that scale them with the number of ranks, and
the flags as they will stand on the command line, with ``${name}`` for what is filled in. Options
(``--packed``, ``--eval``, ``--profile``) exchange or add data and flags.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterable, List, Mapping, Optional, Set, Tuple

from bertkit.errors import BertkitError, UsageProblem
from bertkit.launch.recipes.formula import Number, evaluate
from bertkit.resources import shipped
from bertkit.strict_yaml import load_strict

MODELS = ("large", "base", "tiny")

_REQUIRED = {
    "job",
    "title",
    "script",
    "horovod_flag",
    "modules",
    "needs",
    "numbers",
    "formulas",
    "flags",
}
_OPTIONAL = {"starts_from", "flags_if_known", "options", "evaluation"}
#: what a recipe may offer, each an option of ``bertkit train``; what it fills in besides
OPTIONS: Dict[str, Set[str]] = {
    "packed": {"avg_seq_per_sample"}, "eval": set(), "profile": {"profile"},
}  # fmt: skip
_OF_AN_OPTION = {"needs", "formulas", "flags", "flags_if_known", "script_has", "patch"}
_PLACEHOLDER = re.compile(r"\$\{([a-z0-9_]+)\}")
#: filled in by the plan, besides the recipe's own needs, numbers and formulas
_GIVEN = {"output", "bert_config", "run_directory", "rank_0_output"}


@dataclass(frozen=True)
class Option:
    """What one option changes about a job.

    Attributes:
        needs: as the recipe's; one of the same name takes its place.
        formulas: further ones.
        flags: further ones, after the recipe's.
        flags_if_known: further ones, each where the release's script has it.
        script_has: the script can do it if one of these is in its source; empty: always.
        patch: the patch without which it does not work, or None.
    """

    needs: Mapping[str, str]
    formulas: Mapping[str, str]
    flags: Tuple[str, ...]
    flags_if_known: Tuple[str, ...]
    script_has: Tuple[str, ...]
    patch: Optional[str]


@dataclass(frozen=True)
class Recipe:
    """One job.

    Attributes:
        job: its short name, also the name of its output directory.
        title: one line for people.
        script: upstream's script, relative to the checkout.
        horovod_flag: how that script is told to use Horovod.
        starts_from: the job whose newest checkpoint it starts from, if any.
        modules: what the script imports, besides what every job needs.
        needs: name -> path relative to the data directory; ``${corpus}`` is the corpus' name.
        numbers: number set (``upstream``, ``tiny``) -> name -> value.
        formulas: name -> formula over the numbers and ``ranks``, in order.
        flags: the script's flags.
        flags_if_known: further ones, each where the release's script has it.
        options: those that the job offers, of :data:`OPTIONS`.
        evaluation: a script of the checkout that prints the scores as JSON, and its arguments;
            empty: the job evaluates by itself, or not at all.
    """

    job: str
    title: str
    script: str
    horovod_flag: str
    starts_from: Optional[str]
    modules: Tuple[str, ...]
    needs: Mapping[str, str]
    numbers: Mapping[str, Mapping[str, Number]]
    formulas: Mapping[str, str]
    flags: Tuple[str, ...]
    flags_if_known: Tuple[str, ...]
    options: Mapping[str, Option]
    evaluation: Tuple[str, ...]

    @property
    def fine_tunes(self) -> bool:
        """Whether the job makes its own records of text; for pre-training they are made already."""
        return "vocab" in self.needs

    def numbers_for(self, model: str) -> Dict[str, Number]:
        """The numbers before scaling: ``tiny`` has its own, the others are upstream's."""
        return dict(self.numbers["tiny" if model == "tiny" else "upstream"])


def names() -> List[str]:
    """The jobs that there are recipes for."""
    return sorted(path.stem for path in shipped("launchers").glob("*.yaml"))


def load(job: str) -> Recipe:
    """The shipped recipe of *job*.

    Raises:
        UsageProblem: there is none of that name.
        BertkitError: the file is damaged.
    """
    if job not in names():
        raise UsageProblem(
            f"no recipe for {job!r}",
            why=f"there are: {', '.join(names())}",
            next_step="bertkit train --help",
        )
    return read(shipped("launchers") / f"{job}.yaml")


def read(path: Path) -> Recipe:
    """Read a recipe file and check it.

    Raises:
        BertkitError: it is not a recipe; says what is wrong with which key.
    """
    raw = load_strict(path)
    try:
        return _checked(raw)
    except (ValueError, TypeError) as error:
        raise BertkitError(
            "not a usable recipe",
            where=path,
            why=str(error),
            next_step="compare it with the recipes that bertkit ships",
        ) from None


def placeholders(template: str) -> Set[str]:
    """The names in *template*'s ``${name}``s."""
    return set(_PLACEHOLDER.findall(template))


def fill(template: str, values: Mapping[str, str]) -> str:
    """*template* with each ``${name}`` replaced."""
    return _PLACEHOLDER.sub(lambda match: values[match.group(1)], template)


def _checked(raw: object) -> Recipe:
    if not isinstance(raw, dict):
        raise ValueError("a recipe is a mapping")
    missing, unknown = _REQUIRED - set(raw), set(raw) - _REQUIRED - _OPTIONAL
    if missing or unknown:
        raise ValueError(
            "; ".join(
                f"{label} {', '.join(sorted(keys))}"
                for label, keys in (("missing:", missing), ("unknown:", unknown))
                if keys
            )
        )
    recipe = Recipe(
        job=_text(raw, "job"),
        title=_text(raw, "title"),
        script=_relative(_text(raw, "script"), "script"),
        horovod_flag=_text(raw, "horovod_flag"),
        starts_from=_text(raw, "starts_from") if raw.get("starts_from") is not None else None,
        modules=_names(raw["modules"], "modules"),
        needs=_needs(raw["needs"], "needs"),
        numbers={
            key: _numbers(value, f"numbers.{key}")
            for key, value in _mapping(raw["numbers"], "numbers").items()
        },
        formulas={key: str(value) for key, value in _mapping(raw["formulas"], "formulas").items()},
        flags=_flags(raw["flags"]),
        flags_if_known=_flags(raw.get("flags_if_known", [])),
        options=_options(raw.get("options", {})),
        evaluation=_evaluation(raw.get("evaluation", [])),
    )
    if set(recipe.numbers) != {"upstream", "tiny"}:
        raise ValueError("numbers: wants exactly `upstream` and `tiny`")
    for model in ("upstream", "tiny"):
        _check_names(recipe, model)
    return recipe


def _check_names(recipe: Recipe, model: str) -> None:
    """Every formula can be computed and every placeholder filled, whatever the model."""
    values: Dict[str, Number] = {**recipe.numbers_for(model), "ranks": 1}
    for name, formula in recipe.formulas.items():
        values[name] = evaluate(formula, values)
    known = _GIVEN | set(recipe.needs) | set(values)
    _check_flags((*recipe.flags, *recipe.flags_if_known, *recipe.evaluation), known)
    for option, what in recipe.options.items():
        more: Dict[str, Number] = {**values, **dict.fromkeys(OPTIONS[option], 1)}
        for name, formula in what.formulas.items():
            more[name] = evaluate(formula, more)
        _check_flags((*what.flags, *what.flags_if_known), known | set(what.needs) | set(more))


def _check_flags(flags: Iterable[str], known: Set[str]) -> None:
    for flag in flags:
        unknown = placeholders(flag) - known
        if unknown:
            raise ValueError(f"flags: {flag}: nothing is called {', '.join(sorted(unknown))}")


def _options(value: object) -> Dict[str, Option]:
    found = {}
    for name, raw in _mapping(value, "options").items():
        what = _mapping(raw, f"options.{name}")
        if name not in OPTIONS or set(what) - _OF_AN_OPTION:
            strange = [name] if name not in OPTIONS else sorted(set(what) - _OF_AN_OPTION)
            raise ValueError(f"options: unknown: {', '.join(strange)}")
        formulas = _mapping(what.get("formulas", {}), f"options.{name}.formulas")
        found[name] = Option(
            needs=_needs(what.get("needs", {}), f"options.{name}.needs"),
            formulas={key: str(formula) for key, formula in formulas.items()},
            flags=_flags(what.get("flags", [])),
            flags_if_known=_flags(what.get("flags_if_known", [])),
            script_has=_names(what.get("script_has", []), f"options.{name}.script_has"),
            patch=_text(what, "patch") if "patch" in what else None,
        )
    return found


def _evaluation(value: object) -> Tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) and each for each in value):
        raise ValueError("evaluation: wants a script and its arguments")
    return (_relative(value[0], "evaluation"), *value[1:]) if value else ()


def _needs(value: object, key: str) -> Dict[str, str]:
    needs = _mapping(value, key)
    return {name: _relative(str(path), f"{key}.{name}") for name, path in needs.items()}


def _text(raw: Mapping[str, object], key: str) -> str:
    value = raw[key]
    if not isinstance(value, str) or not value:
        raise ValueError(f"{key}: wants a text")
    return value


def _mapping(value: object, key: str) -> Dict[str, object]:
    if not isinstance(value, dict):
        raise ValueError(f"{key}: wants a mapping")
    return value


def _numbers(value: object, key: str) -> Dict[str, Number]:
    numbers: Dict[str, Number] = {}
    for name, number in _mapping(value, key).items():
        if isinstance(number, bool) or not isinstance(number, (int, float)) or number <= 0:
            raise ValueError(f"{key}.{name}: wants a number above 0")
        numbers[name] = number
    return numbers


def _names(value: object, key: str) -> Tuple[str, ...]:
    if not isinstance(value, list) or not all(
        isinstance(name, str) and name.isidentifier() for name in value
    ):
        raise ValueError(f"{key}: wants a list of names")
    return tuple(value)


def _flags(value: object) -> Tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError("flags: wants a list")
    for flag in value:
        if not isinstance(flag, str) or not re.match(r"--[a-z]", flag):
            raise ValueError(f"flags: {flag!r} does not begin with `--`")
    return tuple(value)


def _relative(value: str, key: str) -> str:
    if value.startswith("/") or ".." in Path(value).parts or "\0" in value:
        raise ValueError(f"{key}: {value!r} must stay below its directory")
    return value

"""``--profile FIRST,LAST``: a trace of some passes, made by the hook in upstream's scripts."""

from __future__ import annotations

import re
from typing import Mapping

from bertkit.errors import UsageProblem
from bertkit.launch.recipes.formula import Number

_FORM = re.compile(r"(\d{1,9}),(\d{1,9})")


def checked(asked: str, numbers: Mapping[str, Number]) -> str:
    """*asked*, if it can give a trace.

    Args:
        asked: ``FIRST,LAST``, counted from 1 in passes: a step is as many passes as it
            accumulates.
        numbers: the job's.

    Raises:
        UsageProblem: it is no such pair, or the run ends too early. The trace is written when the
            pass after LAST begins.
    """
    match = _FORM.fullmatch(asked)
    first, last = (int(each) for each in match.groups()) if match else (0, 0)
    if not 0 < first <= last:
        raise UsageProblem(
            f"--profile {asked}: not two numbers",
            why="wants the first and the last pass, counted from 1",
            next_step="for example --profile 30,31",
        )
    if "steps" in numbers:
        accumulated = numbers.get("packs_accumulated", numbers["accumulation"])
        passes = int(numbers["steps"] * accumulated)
        if last >= passes:
            raise UsageProblem(
                f"--profile {asked}: the run has only {passes} passes",
                why=f"{numbers['steps']} steps * {accumulated}; a trace is written a pass later",
                next_step=f"take a LAST below {passes}, or more --steps",
            )
    return asked

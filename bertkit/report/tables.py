"""What people read: the plan of a run before it starts, and what finished runs have to show."""

from __future__ import annotations

import logging
import sys
from typing import List, Literal, Optional, Sequence

from bertkit.errors import BertkitError
from bertkit.launch.plan import Plan, as_shell
from bertkit.launch.running.result import Result

log = logging.getLogger("bertkit")


def print_plan(plan: Plan, trouble: Sequence[BertkitError]) -> None:
    """Print *plan* for ``--dry-run``, and on stderr what would stop it."""
    print(f"{plan.title}: {plan.model} model, {_where(plan)}")
    print("\nnumbers")
    for name, value in plan.numbers.items():
        derived = [str(each) for each in plan.derivations if each.name == name]
        print(f"  {derived[0] if derived else f'{name} = {value}'}")
    print("\nstarts from\n  " + (plan.starts_from or "random weights"))
    print(f"\nwrites to\n  {plan.output}")
    print("\nenvironment of every rank")
    for name in plan.exports:
        print(f"  {name}={plan.environment[name]}")
    print(f"\ncommand, in {plan.working_directory}")
    print(f"  {as_shell(plan.argv)}")
    if plan.evaluation:
        print(f"\nthen\n  {as_shell(plan.evaluation)}")
    for remark in plan.remarks:
        print(f"\nnote: {remark}")
    for each in trouble:
        log.warning("\nwould be refused: %s", each)


def print_start(plan: Plan) -> None:
    """Say what is about to run."""
    log.info("%s: %s model, %s", plan.title, plan.model, _where(plan))
    for derivation in plan.derivations:
        log.info("  %s", derivation)
    if plan.starts_from:
        log.info("  starts from %s", plan.starts_from)
    for remark in plan.remarks:
        log.info("  note: %s", remark)


def print_results(results: Sequence[Result]) -> None:
    """A table with one line a run, and where to look further."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("job", "on", "steps", "loss", "mlm", "nsp", "sentences/s", "seconds"):
        justify: Literal["left", "right"] = "left" if heading in ("job", "on") else "right"
        table.add_column(heading, justify=justify, no_wrap=True)
    for result in results:
        table.add_row(
            result.job,
            f"{result.ranks} x {result.device.upper()}, {result.model}",
            str(result.steps or "-"),
            _fell(result.first_loss, result.last_loss),
            _short(result.mlm_loss),
            _short(result.nsp_loss),
            _short(result.sentences_per_second, digits=1),
            f"{result.seconds:.1f}",
        )
    # Not cut to 80 columns where the output goes to a file.
    Console(width=None if sys.stdout.isatty() else 120).print(table)
    for result in results:
        if result.evaluation:
            scores = ", ".join(
                f"{name} {_short(value, digits=4)}"
                for name, value in result.evaluation.items()
                if name != "global_step"
            )
            print(f"{result.job}: evaluation {scores}")
    for result in results:
        print(f"{result.job}: checkpoint {result.checkpoint}")
        print(f"{result.job}: logs {result.logs}, record {result.record}")
    if any(result.device == "cpu" for result in results):
        print("These are CPU runs: they show that everything works, not how fast a Gaudi is.")


def _where(plan: Plan) -> str:
    noun = {"hpu": "HPU", "cpu": "CPU rank"}[plan.device]
    ranks = f"{plan.ranks} {noun}{'s' if plan.ranks > 1 else ''}"
    return f"{ranks} on {len(plan.hosts)} nodes" if len(plan.hosts) > 1 else ranks


def _fell(first: Optional[float], last: Optional[float]) -> str:
    shown: List[str] = [_short(value) for value in (first, last) if value is not None]
    return " > ".join(shown) or "-"


def _short(value: Optional[float], digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"

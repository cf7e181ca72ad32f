"""A diagnosis as a table for people."""

from __future__ import annotations

import sys

import click

from bertkit.doctor.findings import Diagnosis

_MARKS = {True: "ok", False: "NO", None: "-"}


def print_diagnosis(diagnosis: Diagnosis) -> None:
    """Print what was looked at, found, whether it is fit, and what to do."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("looked at", "fit", "found"):
        table.add_column(heading, no_wrap=heading == "fit", overflow="fold")
    before = None
    for each in diagnosis.findings:
        said = each.found + (f"\ndo: {each.do}" if each.do else "")
        # As plain text: what was found may hold brackets that rich would take for its markup.
        table.add_row(Text("" if each.what == before else each.what), _MARKS[each.fit], Text(said))
        before = each.what
    # Not cut to 80 columns where the output goes to a file.
    Console(width=None if sys.stdout.isatty() else 120).print(table)
    unfit = sum(each.fit is False for each in diagnosis.findings)
    click.echo(
        "all is well ('-': not needed here, or not there yet)"
        if diagnosis.fit
        else f"{unfit} {'thing is' if unfit == 1 else 'things are'} not fit"
    )

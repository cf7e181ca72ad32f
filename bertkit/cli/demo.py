"""``bertkit demo``: the whole way on this machine, small."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Optional

import click

from bertkit.cli.common import common_options, print_json
from bertkit.cli.options import PATH, dry_run_option

log = logging.getLogger("bertkit")


@click.command()
@click.option(
    "--dir", "directory", type=PATH, metavar="DIR", default=Path("demo"), show_default=True,
    help="Where the demo keeps its checkout, data and results.",
)  # fmt: skip
@click.option(
    "--upstream", metavar="URL|standin",
    show_default="as for prepare-repo; the stand-in if that cannot be reached",
    help="Where the repository is.",
)  # fmt: skip
@click.option(
    "--cards", type=click.IntRange(1, 8), default=2, show_default=True, metavar="N",
    help="CPU ranks.",
)  # fmt: skip
@dry_run_option("Print the commands")
@common_options
def command(
    directory: Path, upstream: Optional[str], cards: int, dry_run: bool, as_json: bool
) -> None:
    """Go the whole way on this machine, small: repository, data, training on the CPU."""
    from bertkit import demo
    from bertkit.launch.running.result import Result
    from bertkit.report.tables import print_results

    started = time.monotonic()
    if upstream is None:
        upstream = demo.upstream_for(directory)
    results = demo.fresh_results(directory, make=not dry_run)
    steps = demo.steps(directory, results, upstream=upstream, cards=cards)
    if dry_run and as_json:
        print_json([{"title": step.title, "command": step.argv} for step in steps])
        return
    if dry_run:
        for step in steps:
            click.echo(step.shown())
        return
    demo.run(steps)
    found = demo.results_of(results)
    if as_json:
        print_json(found)
        return
    log.info("\nThe demo's runs, %.0f s in all:", time.monotonic() - started)
    print_results([Result.from_dict(each) for each in found])

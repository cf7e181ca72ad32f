"""``bertkit upstream``: what the live upstream repository has that the catalogue does not know."""

from __future__ import annotations

from dataclasses import asdict
from typing import Optional

import click

from bertkit.cli.common import Group, common_options, print_json


@click.group("upstream", cls=Group)
def command() -> None:
    """Look at the upstream repository."""


@command.command("scan")
@click.option(
    "--upstream", metavar="URL", show_default="as for prepare-repo", help="The repository."
)
@common_options
def scan_command(upstream: Optional[str], as_json: bool) -> None:
    """Compare the catalogue of releases with the live repository.

    Ends with 0 whether or not there is something new: a scheduled job reads the JSON.
    """
    from bertkit.errors import UsageProblem
    from bertkit.upstream.scan import scan
    from bertkit.upstream.source import resolve

    source = resolve(upstream)
    if source.is_standin:
        raise UsageProblem(
            "the stand-in has no branches to scan",
            next_step="bertkit upstream scan --upstream https://github.com/HabanaAI/Model-References",
        )
    result = scan(source)
    if as_json:
        print_json({**asdict(result), "same": result.is_same})
        return
    click.echo(f"{result.url}: {result.known} releases are as catalogued")
    for moved in result.moved:
        bert = "" if moved.has_bert else " (no TensorFlow BERT in it)"
        click.echo(f"moved  {moved.version}  {moved.catalogued[:12]} -> {moved.head[:12]}{bert}")
    for version, head in result.new:
        click.echo(f"new    {version}  {head[:12]}")
    for version in result.gone:
        click.echo(f"gone   {version}")
    if not result.is_same:
        click.echo("next: python tools/build_catalogue.py MIRROR > bertkit/upstream/catalogue.json")

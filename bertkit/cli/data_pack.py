"""``bertkit data pack``: several sequences in one record."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any, Callable, Dict, TypeVar

import click
from click.core import ParameterSource

from bertkit.cli.common import common_options, data_option, print_json

_Function = TypeVar("_Function", bound=Callable[..., Any])

_PATH = click.Path(path_type=Path)
_LENGTH = click.IntRange(1, 2048)


def _places(function: _Function) -> _Function:
    for option in reversed(
        (
            click.argument("source", type=_PATH, metavar="[IN_DIR]", required=False),
            click.option(
                "--output", type=_PATH, metavar="OUT_DIR",
                help="Where the packs of IN_DIR go; upstream's metadata goes beside it.",
            ),
            data_option(
                required=False,
                help="A data directory: instead of IN_DIR and OUT_DIR, its training records and "
                "their place below tfrecord_packed; with --phase or --seq-length.",
            ),
            click.option(
                "--phase", type=click.IntRange(1, 2), help="Of --data: 1 is 128 tokens, 2 is 512."
            ),
            click.option("--seq-length", type=_LENGTH, help="Of --data."),
            click.option("--corpus", help="Of --data, where it has several."),
        )
    ):  # fmt: skip
        function = option(function)
    return function


def _settings(function: _Function) -> _Function:
    for option in reversed(
        (
            click.option(
                "--max-seq-length", type=_LENGTH, metavar="L",
                help="Tokens in a record and in a pack; default: as the first record has it.",
            ),
            click.option(
                "--max-predictions-per-seq", type=_LENGTH, metavar="M",
                help="Predictions in a record; default: as the first record has it.",
            ),
            click.option(
                "--ranks", type=click.IntRange(1), default=8, show_default=True,
                help="The number of files is a multiple of it.",
            ),
            click.option(
                "--seed", type=click.IntRange(0), default=12345, show_default=True,
                help="Decides all chance.",
            ),
            click.option(
                "--window", type=click.IntRange(128, 1_000_000), default=50_000,
                show_default=True,
                help="Sequences that are packed together; memory grows with it.",
            ),
            click.option(
                "--workers", type=click.IntRange(1), help="Processes; default: one a core."
            ),
        )
    ):  # fmt: skip
        function = option(function)
    return function


@click.command()
@_places
@_settings
@click.option(
    "--engine",
    type=click.Choice(["native", "upstream"]),
    default="native",
    show_default=True,
    help="Who packs: bertkit, or the script of a checkout.",
)
@click.option(
    "--repo",
    type=_PATH,
    envvar="BERTKIT_REPO",
    default=Path("Model-References"),
    show_default=True,
    metavar="DIR",
    help="The checkout, for --engine upstream. [BERTKIT_REPO]",
)
@click.option("--dry-run", is_flag=True, help="Read, plan, say what would come; change nothing.")
@common_options
def pack(as_json: bool, dry_run: bool, engine: str, repo: Path, **options: Any) -> None:
    """Pack the training records of IN_DIR: up to three sequences in one record.

    Give IN_DIR and --output, or --data and --phase (or --seq-length).
    """
    from bertkit.data.packing.places import request_for
    from bertkit.data.packing.stage import pack as pack_records

    by_variable = click.get_current_context().get_parameter_source("root")
    if options["source"] and by_variable is ParameterSource.ENVIRONMENT:
        options["root"] = None  # IN_DIR says more
    request = request_for(**options)
    packer = None
    if engine == "upstream":
        from bertkit.data.packing.upstream import UpstreamPacker

        packer = UpstreamPacker(repo)
    done = pack_records(request, packer=packer, dry_run=dry_run)
    next_command = f"bertkit data verify {shlex.quote(str(done.output))}"
    if as_json:
        result: Dict[str, Any] = {
            "source": str(request.source),
            "output": str(done.output),
            "metadata": str(done.metadata),
            "state": done.state,
            "engine": engine,
            "max_seq_length": done.limits.tokens,
            "max_predictions_per_seq": done.limits.predictions,
            **done.counts,
            "efficiency": done.efficiency,
            "best_efficiency": done.best_efficiency,
            "next": next_command,
        }
        print_json(result)
        return
    counts = done.counts
    if done.efficiency is None:
        click.echo(f"{counts['sequences']:,} sequences: packs {done.state}")
    else:
        click.echo(f"{counts['sequences']:,} sequences in {counts['packs']:,} packs: {done.state}")
        click.echo(
            f"efficiency: {done.efficiency:.3%} of the tokens are no padding; no packing of three "
            f"a pack can have more than {done.best_efficiency:.3%}"
        )
        click.echo(f"{counts['files']:,} files in {done.output}")
    click.echo(f"next: {next_command}")

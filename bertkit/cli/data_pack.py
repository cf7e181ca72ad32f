"""``bertkit data pack``: several sequences in one record."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Any, Dict, Optional

import click
from click.core import ParameterSource

from bertkit.cli.common import common_options, print_json
from bertkit.cli.options import (
    PATH,
    SEED,
    SHARING,
    WORKERS,
    data_option,
    dry_run_option,
    engine_option,
    together,
)

_LENGTH = click.IntRange(1, 2048)


_places = together(
    click.argument("source", type=PATH, metavar="[IN_DIR]", required=False),
    click.option(
        "--output", type=PATH, metavar="OUT_DIR",
        help="Where the packs of IN_DIR go; upstream's metadata goes beside it.",
    ),
    data_option(
        required=False,
        help="A data directory: instead of IN_DIR and OUT_DIR, its training records and their "
        "place below tfrecord_packed; with --phase or --seq-length.",
    ),
    click.option(
        "--phase", type=click.IntRange(1, 2), metavar="1|2",
        help="Of --data: 1 is 128 tokens, 2 is 512.",
    ),
    click.option("--seq-length", type=_LENGTH, metavar="L", help="Of --data: tokens in a record."),
    click.option("--corpus", metavar="NAME", help="Of --data, where it has several."),
)  # fmt: skip
_settings = together(
    click.option(
        "--max-seq-length", type=_LENGTH, metavar="L", show_default="as the first record has it",
        help="Tokens in a record and in a pack.",
    ),
    click.option(
        "--max-predictions-per-seq", type=_LENGTH, metavar="M",
        show_default="as the first record has it", help="Predictions in a record.",
    ),
    click.option(
        "--ranks", type=click.IntRange(1), default=8, show_default=True, metavar="N",
        help="The number of files is a multiple of it.",
    ),
    SEED,
    click.option(
        "--window", type=click.IntRange(128, 1_000_000), default=50_000, show_default=True,
        metavar="N", help="Sequences that are packed together; memory grows with it.",
    ),
    WORKERS,
)  # fmt: skip


@click.command()
@_places
@_settings
@engine_option("packs")
@SHARING
@dry_run_option("Read, plan, say what would come")
@common_options
def pack(
    as_json: bool, dry_run: bool, engine: str, repo: Path, share: Optional[str], wait: float,
    **options: Any,
) -> None:  # fmt: skip
    """Pack the training records of IN_DIR: up to three sequences in one record.

    Give IN_DIR and --output, or --data and --phase (or --seq-length).
    """
    from bertkit.data.packing.places import request_for
    from bertkit.data.packing.stage import pack as pack_records
    from bertkit.data.stages.shares import find_share

    by_variable = click.get_current_context().get_parameter_source("root")
    if options["source"] and by_variable is ParameterSource.ENVIRONMENT:
        options["root"] = None  # IN_DIR says more
    whose = find_share(share, os.environ)
    request = request_for(**options)
    packer = None
    if engine == "upstream":
        from bertkit.data.packing.upstream import UpstreamPacker

        packer = UpstreamPacker(repo)
    done = pack_records(request, packer=packer, dry_run=dry_run, share=whose, patience=wait)
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

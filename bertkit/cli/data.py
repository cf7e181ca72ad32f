"""``bertkit data``: make the data that training needs, and check it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Optional

import click

from bertkit.cli import data_downloads, data_pack, data_wiki
from bertkit.cli.common import Group, common_options, print_json
from bertkit.cli.options import PATH, SEED, WORKERS, data_option, dry_run_option, shards_option
from bertkit.cli.stages import as_rows, print_stages, print_table, size, told

_DATA = data_option()


@click.group("data", cls=Group)
def command() -> None:
    """Make or fetch the data that training needs."""


for _each in (
    data_downloads.mrpc,
    data_downloads.squad,
    data_downloads.pretrained,
    data_wiki.wiki,
    data_downloads.books,
    data_pack.pack,
):
    command.add_command(_each)


@command.command()
@_DATA
@shards_option(8, 8, 16)
@SEED
@WORKERS
@dry_run_option("Say what would be made")
@common_options
def sample(
    root: Path, shards: int, seed: int, workers: Optional[int], dry_run: bool, as_json: bool
) -> None:
    """Make a small set of real data: records for both phases, MRPC, SQuAD, vocabulary."""
    from bertkit.data.samples.sample import NOTE, make_sample

    results = make_sample(root, shards=shards, seed=seed, workers=workers, dry_run=dry_run)
    next_command = f"bertkit train --phase 1 --model tiny --data {shlex.quote(str(root))}"
    if as_json:
        print_json(
            {
                "data": str(root),
                "stages": as_rows(results),
                "note": NOTE,
                "next": next_command,
            }
        )
        return
    print_stages(results, root)
    if all(done.state == "was there" for done in results):
        click.echo("nothing to do")
    click.echo(NOTE)
    click.echo(f"next: {next_command}")


@command.command()
@_DATA
@common_options
def status(root: Path, as_json: bool) -> None:
    """Say which data is there, which is not, and what makes it."""
    from bertkit.data.status import look

    found = look(root)
    if as_json:
        print_json({"data": str(root), "stages": [each.as_dict() for each in found]})
        return
    print_table(
        ["data", "state", "size", "counts", "made by"],
        [
            [each.what, each.state, size(each.bytes), told(each.counts), each.command]
            for each in found
        ],
    )


@command.command()
@click.argument("directory", type=PATH, metavar="DIR")
@click.option(
    "--source",
    type=PATH,
    metavar="IN_DIR",
    show_default="what the manifest says",
    help="The records that packs were made of.",
)
@common_options
def verify(directory: Path, source: Optional[Path], as_json: bool) -> None:
    """Read all text and every record of DIR and check them.

    DIR is a data directory with all that lies in it, or one directory of packed records.
    """
    from bertkit.data.packing.verify import as_row
    from bertkit.data.verify import verify_everything

    texts, results, packed = verify_everything(directory, source)
    if as_json:
        rows = [{**r._asdict(), "directory": str(r.directory)} for r in results]
        told_texts = [{**t._asdict(), "place": str(t.place)} for t in texts]
        print_json({"directories": [*rows, *map(as_row, packed)], "texts": told_texts})
        return
    if texts:
        print_table(
            ["text", "files", "articles", "sentences", "compared with"],
            [
                [str(t.place.relative_to(directory)), *(f"{n:,}" for n in t[2:5]), t.compared_with]
                for t in texts
            ],
        )
    if results:
        print_table(
            ["directory", "length", "files", "records", "tokens"],
            [
                [str(r.directory.relative_to(directory)), *(f"{n:,}" for n in r[1:])]
                for r in results
            ],
        )
    if packed:
        print_table(
            ["packed", "length", "files", "packs", "sequences", "tokens", "compared with"],
            [[str(r.directory), *(f"{n:,}" for n in r[1:6]), r.compared_with] for r in packed],
        )
    click.echo("all is as it should be")

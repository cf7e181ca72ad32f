"""``bertkit data wiki``: a dump of Wikipedia."""

from __future__ import annotations

from typing import Any, Dict, Optional

import click

from bertkit.cli.common import common_options, print_json
from bertkit.cli.data_downloads import asked_for, download_options

#: the stages that there are, in order
STAGES = ("download",)


@click.command()
@click.option("--wiki", "name", default="enwiki", show_default=True,
              help="Which; simplewiki is small, to try things.")  # fmt: skip
@click.option("--dump-date", "date", metavar="YYYYMMDD",
              help="Default: the dump that is there, else the newest complete one.")  # fmt: skip
@click.option("--until", type=click.Choice(STAGES), default=STAGES[-1], show_default=True,
              help="The last stage to carry out.")  # fmt: skip
@download_options
@common_options
def wiki(name: str, date: Optional[str], until: str, as_json: bool, **options: Any) -> None:
    """Have a dated dump of a Wikipedia: its pages and the index of its streams."""
    from bertkit.data.dump import DumpFiles, fetch_dump, planned_dump

    asked = asked_for(**options)
    if asked.dry_run:
        planned = planned_dump(asked.layout, name, date, given=asked.given)
        _show({**planned, "state": "would be fetched"}, as_json)
        return
    found: DumpFiles = fetch_dump(
        asked.layout, name, date, given=asked.given, patience=asked.patience
    )
    result: Dict[str, Optional[str]] = {
        "wiki": found.wiki, "date": found.date, "dump": str(found.dump),
        "index": str(found.index), "sha1": found.sha1, "sha256": found.sha256, "state": "there",
    }  # fmt: skip
    _show(result, as_json)


def _show(result: Dict[str, Optional[str]], as_json: bool) -> None:
    if as_json:
        print_json(result)
        return
    for key, value in result.items():
        click.echo(f"{key + ':':<8} {'not known' if value is None else value}")

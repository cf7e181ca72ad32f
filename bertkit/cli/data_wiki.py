"""``bertkit data wiki``: from a dated dump of Wikipedia to training records."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Optional, Sequence

import click

from bertkit.cli.common import common_options, print_json
from bertkit.cli.data_downloads import asked_for, fetching
from bertkit.cli.options import PATH, SEED, SHARING, WORKERS, engine_option, shards_option
from bertkit.cli.stages import as_rows, print_stages

if TYPE_CHECKING:
    from bertkit.data.stages.pipeline import Done
    from bertkit.data.wiki import Text

#: in order
STAGES = ("download", "extract", "format", "shard", "records")


@click.command()
@click.option(
    "--wiki", "name", default="enwiki", show_default=True, metavar="NAME",
    help="Which; simplewiki is small, to try things.",
)  # fmt: skip
@click.option(
    "--dump-date", "date", metavar="YYYYMMDD",
    show_default="the one that is there, else the newest complete one", help="Which dump.",
)  # fmt: skip
@click.option(
    "--dump", "file", type=PATH, metavar="FILE.bz2",
    help="A dump of your own instead; its -index.txt.bz2 beside it is used.",
)  # fmt: skip
@click.option(
    "--start-at", "start", type=click.Choice(STAGES[1:]), default=STAGES[1], show_default=True,
    help="A later stage goes on from text that lies in DIR, made by either engine.",
)  # fmt: skip
@click.option(
    "--until", type=click.Choice(STAGES), default=STAGES[-1], show_default=True,
    help="The last stage to carry out.",
)  # fmt: skip
@shards_option(256, 1, 4096)
@click.option(
    "--test-fraction", type=click.FloatRange(0.001, 0.5), default=0.1, show_default=True,
    metavar="F", help="Of the text, held out for evaluation.",
)  # fmt: skip
@click.option(
    "--dupe-factor", type=click.IntRange(1, 100), default=5, show_default=True, metavar="N",
    help="How often each article is gone through, each time masked anew.",
)  # fmt: skip
@SEED
@click.option("--cased", is_flag=True, help="The vocabulary is cased; give it with --vocab.")
@click.option("--whole-word-masking", is_flag=True, help="Mask all pieces of a word or none.")
@click.option(
    "--vocab", type=PATH, metavar="FILE",
    show_default="the data directory's vocab/uncased/vocab.txt", help="One word piece a line.",
)  # fmt: skip
@engine_option("does the stages")
@WORKERS
@SHARING
@fetching()
@common_options
def wiki(
    name: str, date: Optional[str], file: Optional[Path], start: str, until: str, shards: int,
    test_fraction: float, dupe_factor: int, seed: int, cased: bool, whole_word_masking: bool,
    vocab: Optional[Path], engine: str, repo: Path, workers: Optional[int], share: Optional[str],
    wait: float, as_json: bool, **options: Any,
) -> None:  # fmt: skip
    """Make training records of both lengths from a dump of Wikipedia."""
    from bertkit.data.stages.shares import find_share
    from bertkit.data.stages.workers import cores
    from bertkit.data.wiki import Wanted, look_at_wiki, make_wiki
    from bertkit.data.wikipedia.dump import planned_dump

    if cased and vocab is None:
        raise click.UsageError("--cased wants the cased vocabulary: --vocab FILE")
    if start != STAGES[1] and STAGES.index(start) > STAGES.index(until):
        raise click.UsageError(f"--start-at {start} is after --until {until}")
    asked = asked_for(**options)
    whose = find_share(share, os.environ)
    planned = None
    reads_dump = start == STAGES[1]
    if file is None and asked.dry_run and reads_dump:
        planned = planned_dump(asked.layout, name, date, given=asked.given)
        if not _is_whole(planned["directory"]):
            _show({**planned, "state": "would be fetched"}, as_json)
            return
    text = None
    if reads_dump:
        text = _own(file) if file is not None else _fetched(asked, name, date)
    if until == STAGES[0] and text is not None:
        _show({"dump": str(text.dump), "index": None if text.index is None else str(text.index),
               "sha256": text.sha256, "state": "there"}, as_json)  # fmt: skip
        return
    wanted = Wanted(
        until, shards, test_fraction, dupe_factor, seed, not cased, whole_word_masking,
        vocab, repo if engine == "upstream" else None, start,
    )  # fmt: skip
    if asked.dry_run:
        _show_stages(look_at_wiki(asked.layout, text, wanted), asked.root, None, as_json)
        return
    results = make_wiki(asked.layout, text, wanted, workers or cores(), whose, wait)
    root = shlex.quote(str(asked.root))
    following = (
        f"bertkit data pack --phase 1 --data {root}, "
        f"or at once: bertkit train --phase 1 --data {root}"
        if until == STAGES[-1]
        # not from the start: the stages so far may be another engine's, and would be made anew
        else f"bertkit data wiki --data {root} --start-at {STAGES[STAGES.index(until) + 1]}"
    )
    _show_stages(results, asked.root, following, as_json)


def _fetched(asked: Any, name: str, date: Optional[str]) -> Text:
    from bertkit.data.wiki import Text
    from bertkit.data.wikipedia.dump import fetch_dump

    found = fetch_dump(asked.layout, name, date, given=asked.given, patience=asked.patience)
    return Text(found.dump, found.index, found.sha256)


def _is_whole(directory: Optional[str]) -> bool:
    """Whether dump and index have their final names, which only what is whole has."""
    there = [] if directory is None else [path.name for path in Path(directory).glob("*.bz2")]
    kinds = ("-multistream.xml.bz2", "-multistream-index.txt.bz2")
    return all(any(name.endswith(kind) for name in there) for kind in kinds)


def _own(file: Path) -> Text:
    from bertkit.data.wiki import Text
    from bertkit.errors import DataDamaged
    from bertkit.files import sha256_of

    if not file.is_file():
        raise DataDamaged("there is no such dump", where=file, next_step="--dump FILE.bz2")
    index = file.with_name(file.name.replace(".xml.bz2", "-index.txt.bz2"))
    there = index != file and index.is_file()
    return Text(file, index if there else None, sha256_of(file))


def _show(result: Dict[str, Optional[str]], as_json: bool) -> None:
    if as_json:
        print_json(result)
        return
    for key, value in result.items():
        click.echo(f"{key + ':':<10} {'not known' if value is None else value}")


def _show_stages(
    results: Sequence[Done], root: Path, following: Optional[str], as_json: bool
) -> None:
    if as_json:
        print_json({"data": str(root), "stages": as_rows(results), "next": following})
        return
    print_stages(results, root)
    if following:
        click.echo(f"next: {following}")

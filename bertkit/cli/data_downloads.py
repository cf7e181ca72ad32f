"""``bertkit data mrpc``, ``squad`` and ``pretrained``: data that others publish."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional

import click

from bertkit.cli.common import common_options, print_json
from bertkit.cli.options import Decorator, data_option, dry_run_option, together

if TYPE_CHECKING:
    from bertkit.data.published.prepare import Asked, Prepared


_MIRROR = click.option(
    "--from", "given", metavar="DIR|URL", envvar="BERTKIT_MIRROR", show_envvar=True,
    show_default="the addresses that the publishers name",
    help="Where the files are already, or a mirror of your own.",
)  # fmt: skip

# No variable: a mirror of what others publish has no books.
_BOOKS = click.option(
    "--from", "given", metavar="DIR|FILE|URL",
    help="A directory with text files, or an archive of them.",
)  # fmt: skip


def fetching(given: Decorator = _MIRROR) -> Decorator:
    """What all commands that fetch have: where to, where from (*given*), how long to wait."""
    return together(
        data_option(),
        given,
        click.option(
            "--attempts", type=click.IntRange(1, 100), default=6, show_default=True, metavar="N",
            help="At one address, one after another without getting on.",
        ),
        click.option(
            "--timeout", type=click.FloatRange(0.1, 3600), default=60, show_default=True,
            metavar="SECONDS", help="How long a server may be silent.",
        ),
        dry_run_option("Say what would be fetched"),
    )  # fmt: skip


def asked_for(
    root: Path, given: Optional[str], attempts: int, timeout: float, dry_run: bool
) -> Asked:
    """The options of ``fetching`` as one object."""
    from bertkit.data.download import Patience
    from bertkit.data.published.prepare import Asked

    patience = Patience(connect=min(timeout, 20.0), read=timeout, attempts=attempts)
    return Asked(root, given or None, patience, dry_run)


@click.command()
@fetching()
@common_options
def mrpc(as_json: bool, **options: Any) -> None:
    """Have the paraphrase corpus MRPC, split as GLUE does."""
    from bertkit.data.published.mrpc import have_mrpc

    _task("mrpc", have_mrpc, asked_for(**options), as_json)


@click.command()
@fetching()
@common_options
def squad(as_json: bool, **options: Any) -> None:
    """Have the questions of SQuAD 1.1."""
    from bertkit.data.published.squad import have_squad

    _task("squad", have_squad, asked_for(**options), as_json)


@click.command()
@click.option(
    "--model", type=click.Choice(["large", "base"]), default="large", show_default=True,
    help="BERT Large with whole-word masking, or BERT Base; both uncased.",
)  # fmt: skip
@fetching()
@common_options
def pretrained(model: str, as_json: bool, **options: Any) -> None:
    """Have a pretrained model of Google's to start fine-tuning from."""
    from bertkit.data.published.pretrained import have_pretrained
    from bertkit.launch.checkpoints.checkpoint import require_fit

    found = have_pretrained(asked_for(**options), model, require_fit)
    data = shlex.quote(str(options["root"]))
    start = f"--model {model} --data {data} --init-checkpoint pretrained"
    after = [f"bertkit train --task {task} {start}" for task in ("mrpc", "squad")]
    also = {"init_checkpoint": str(found.prefix), "vocab": str(found.vocab)}
    show(found.prepared, after, as_json, also)


@click.command()
@fetching(_BOOKS)
@common_options
def books(as_json: bool, **options: Any) -> None:
    """Take books of your own in the place of upstream's BookCorpus.

    --from names text files, or an archive of them. BookCorpus itself is not published any more,
    and nothing needs it.
    """
    from bertkit.data.published.books import have_books

    show(have_books(asked_for(**options)), [], as_json)


def _task(task: str, have: Callable[[Asked], Prepared], asked: Asked, as_json: bool) -> None:
    from bertkit.data.published.prepare import commands_for
    from bertkit.data.published.pretrained import directory_of

    prepared = have(asked)
    there = (directory_of(asked.root, "large") / "bert_config.json").exists()
    show(prepared, commands_for(task, asked.layout, pretrained=there), as_json)


def show(
    prepared: Prepared, after: List[str], as_json: bool, also: Optional[Dict[str, str]] = None
) -> None:
    """Print what is there now and what to run next."""
    if as_json:
        print_json(
            {
                **prepared._asdict(),
                "output": str(prepared.output),
                **(also or {}),
                "next": after,
            }
        )
        return
    click.echo(f"{prepared.stage}: {prepared.state}: {prepared.output}")
    for name, count in prepared.counts.items():
        click.echo(f"  {count:,} {name}")
    for name, address in prepared.sources.items():
        click.echo(f"  {name}: {address}")
    for name, value in (also or {}).items():
        click.echo(f"  {name.replace('_', ' ')}: {value}")
    for line in after:
        click.echo(f"next: {line}")

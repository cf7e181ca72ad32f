"""``bertkit prepare-repo``: fetch the upstream release that fits this machine and patch it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Optional

import click

from bertkit.cli.common import common_options, print_json
from bertkit.cli.options import ONLY, PATH, dry_run_option, patches_of


@click.command("prepare-repo")
@click.option(
    "--synapse-version", metavar="X.Y.Z", show_default="what is detected", help="The release."
)
@click.option(
    "--dest", type=PATH, envvar="BERTKIT_REPO", show_envvar=True, metavar="DIR",
    default=Path("Model-References"), show_default=True, help="Where to put it.",
)  # fmt: skip
@click.option(
    "--upstream", metavar="URL|standin",
    show_default="BERTKIT_UPSTREAM, else git config bertkit.upstream, else GitHub",
    help="https:// or file:// URL, a path, or the built-in stand-in.",
)  # fmt: skip
@click.option(
    "--working-dir", type=PATH, metavar="DIR",
    help="What upstream's data scripts get as BERT_PREP_WORKING_DIR.",
)  # fmt: skip
@ONLY
@dry_run_option()
@common_options
def command(
    synapse_version: Optional[str],
    dest: Path,
    upstream: Optional[str],
    working_dir: Optional[Path],
    only: Optional[str],
    dry_run: bool,
    as_json: bool,
) -> None:
    """Fetch the upstream release that fits this machine and patch it.

    Only what BERT needs is fetched, at the commit that the catalogue pins. Run it again at any
    time: what is there is checked, what is missing is added, what you edited is never overwritten.
    """
    from bertkit.prepare import prepare

    result = prepare(
        synapse_version=synapse_version,
        destination=dest,
        upstream=upstream,
        working_dir=working_dir,
        only=patches_of(only),
        dry_run=dry_run,
    )
    if as_json:
        print_json(result.as_dict())
        return
    for note in result.notes:
        click.echo(f"note: {note}", err=True)
    done = "prepared" if result.changed else "already prepared, nothing to do"
    if dry_run:
        done = "would be prepared" if result.changed else "is prepared, nothing would be done"
    click.echo(f"{result.destination}: {done}")
    click.echo(f"  release   {result.release} (from {result.detected.get('source', 'its lock')})")
    for name in ("userspace", "driver"):
        found = result.detected.get(name)
        if found:
            click.echo(f"  {name:<9} {found['release']} ({found['source']}: {found['detail']})")
    click.echo(f"  upstream  {result.url} at {result.commit[:12]}")
    if not (dry_run and result.changed):
        click.echo(f"  patches   {', '.join(result.patches) or 'none'}")
    if result.working_dir is not None:
        click.echo(f"  data in   {result.working_dir}")
    if not dry_run:
        repository = shlex.quote(str(result.destination))
        click.echo(f"next: bertkit train --phase 1 --repo {repository} --data DATA_DIRECTORY")

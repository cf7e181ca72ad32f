"""``bertkit config``: the settings of a site and its user."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Dict, Optional, Tuple

import click

from bertkit.cli.common import Group, common_options, print_json
from bertkit.cli.options import PATH, SITE, dry_run_option


@click.group("config", cls=Group)
def command() -> None:
    """Show, make and check the settings of a site and its user."""


@command.command()
@SITE
@common_options
def show(site: Optional[str], as_json: bool) -> None:
    """Print every setting and where its value comes from."""
    from bertkit.config import resolve, user_file
    from bertkit.report.settings import print_settings

    resolved = resolve(os.environ, {}, site=site)
    own = user_file(os.environ)
    if as_json:
        print_json({**resolved._asdict(), "user_file": str(own), "user_file_is": own.is_file()})
    else:
        print_settings(resolved, own)


@command.command()
@click.option("--site", required=True, metavar="NAME|FILE", help="The profile to start from.")
@click.option("--user", metavar="NAME", help="Your name on the cluster.")
@click.option("--namespace", help="Where your jobs go.")
@click.option("--image", metavar="IMAGE", help="An image with bertkit in it.")
@click.option(
    "--file", "path", type=PATH, metavar="FILE", show_default="your own",
    help="The settings file to write.",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@dry_run_option("Print what would be written")
@common_options
def init(
    site: str,
    user: Optional[str],
    namespace: Optional[str],
    image: Optional[str],
    path: Optional[Path],
    force: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Write your own settings file, which names the site and what is yours."""
    from bertkit.config import user_file
    from bertkit.config.own_file import text, write

    chosen: Dict[str, Any] = {"user": user, "namespace": namespace, "image": image}
    said = {key: value for key, value in chosen.items() if value is not None}
    content = text(site, said)
    target = path.expanduser().absolute() if path else user_file(os.environ)
    if not dry_run:
        write(target, content, force=force)
    if as_json:
        print_json({"file": str(target), "content": content, "dry_run": dry_run})
    elif dry_run:
        click.echo(content, nl=False)
    else:
        click.echo(f"written: {target}")
        click.echo("next: bertkit config show")


@command.command()
@click.argument("files", nargs=-1, type=PATH, metavar="[FILE...]")
@common_options
def check(files: Tuple[Path, ...], as_json: bool) -> None:
    """Check profiles and settings files; without FILE, your own and what comes of it."""
    from bertkit.config import read_file, resolve

    for path in files:
        read_file(path)
    if not files:
        resolve(os.environ, {}).settings()
    if as_json:
        print_json({"files": [str(path) for path in files], "fit": True})
    else:
        click.echo("nothing is wrong")

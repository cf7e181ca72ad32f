"""``bertkit manifest``: a job for Kubernetes as YAML on stdout, and what is wrong with one."""

from __future__ import annotations

from pathlib import Path
from typing import Tuple

import click

from bertkit.cli.common import Group, common_options, print_json
from bertkit.cli.in_cluster import add_commands
from bertkit.kube.manifest import Manifest

_FILES = click.Path(path_type=Path, allow_dash=True)


@click.group("manifest", cls=Group, invoke_without_command=True)
@click.option("--check", "files", type=_FILES, multiple=True, help="Say what is wrong with FILE.")
@click.pass_context
def command(context: click.Context, files: Tuple[Path, ...]) -> None:
    """Print a job for Kubernetes as YAML, or check one.

    \b
      bertkit manifest train --phase 1 --cards 8 --site voyager > phase1.yaml
      bertkit manifest data sample --site voyager --user alice
      bertkit manifest --check phase1.yaml
    """
    if files:
        if context.invoked_subcommand is not None:
            raise click.UsageError("--check stands alone")
        context.exit(context.invoke(check, files=files))
    elif context.invoked_subcommand is None:
        click.echo(context.get_help())


@command.command()
@click.argument("files", nargs=-1, required=True, type=_FILES, metavar="FILE...")
@common_options
def check(files: Tuple[Path, ...], as_json: bool) -> int:
    """Say what is wrong with manifests, also hand-written ones; exit code 1 if something is."""
    from bertkit.kube import lint
    from bertkit.report.findings import print_findings

    found = {str(path): lint.check_file(path) for path in files}
    if as_json:
        print_json(
            {
                "files": [
                    {"file": name, "findings": [each.as_dict() for each in findings]}
                    for name, findings in found.items()
                ]
            }
        )
    else:
        print_findings(found)
    return int(any(each.level == "error" for findings in found.values() for each in findings))


def _show(manifest: Manifest, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "kind": manifest.kind,
                "name": manifest.name,
                "namespace": manifest.namespace,
                "objects": list(manifest.objects),
                "yaml": manifest.yaml,
            }
        )
    else:
        click.echo(manifest.yaml, nl=False)


add_commands(command, _show)

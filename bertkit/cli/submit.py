"""``bertkit submit``: a job for a cluster, made and handed over in one step."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Optional, Sequence, Tuple

import click

from bertkit.cli.cluster_options import NAMESPACE, WHICH_CLUSTER, connected
from bertkit.cli.common import Group, common_options, print_json
from bertkit.cli.in_cluster import add_commands
from bertkit.kube.manifest import Manifest

_FILE = click.Path(path_type=Path, allow_dash=True)

_HOW = [
    click.Option(["--dry-run"], is_flag=True, help="Have everything checked; make nothing."),
    click.Option(
        ["--replace"], is_flag=True, help="A finished job of this name goes first; logs are kept."
    ),
    click.Option(
        ["--wait", "and_wait"], is_flag=True, help="Then follow it, as bertkit wait does."
    ),
    *WHICH_CLUSTER,
]


@click.group("submit", cls=Group, invoke_without_command=True)
@click.option("--file", "-f", "files", type=_FILE, multiple=True, help="YAML; - is stdin.")
@common_options
def command(files: Tuple[Path, ...], as_json: bool, **how: Any) -> None:
    """Submit a job to a cluster: one of bertkit's own, or manifests from files.

    \b
      bertkit submit train --phase 1 --cards 8 --site voyager
      bertkit submit -f phase1.yaml --dry-run
    """
    context = click.get_current_context()
    if not files:
        if context.invoked_subcommand is None:
            click.echo(context.get_help())
        elif as_json or any(value for value in how.values()):
            raise click.UsageError(f"options go behind `{context.invoked_subcommand}`")
        return
    if context.invoked_subcommand is not None:
        raise click.UsageError("--file stands alone")
    from bertkit.kube.pieces import namespace_of, read_files

    documents = read_files(files)
    named = namespace_of(documents)
    asked = how.pop("namespace")
    if asked and named and asked != named:
        raise click.UsageError(f"--namespace {asked}, but the file says {named}")
    _submit(documents, named or asked, as_json=as_json, **how)


def _submit(
    documents: Sequence[Any],
    namespace: Optional[str],
    *,
    as_json: bool,
    dry_run: bool,
    replace: bool,
    and_wait: bool,
    **which: Any,
) -> None:
    from bertkit.cli.wait import wait_for
    from bertkit.kube.jobs import find_job
    from bertkit.kube.pieces import pieces
    from bertkit.kube.submit import submit
    from bertkit.report.jobs import print_submitted

    cluster = connected(which, namespace)
    wanted = pieces(documents, cluster)
    jobs = [piece for piece in wanted if piece.is_job]
    if and_wait and len(jobs) != 1:
        raise click.UsageError(f"--wait is for one job; here are {len(jobs)}")
    result = submit(cluster, wanted, dry_run=dry_run, replace=replace)
    waits = and_wait and not dry_run
    if not as_json:
        print_submitted(result, which.get("context"))
    elif not waits:
        print_json(result.as_dict())
    if waits:
        found = find_job(cluster, f"{jobs[0].kind.name}/{jobs[0].name}")
        wait_for(cluster, found, timeout=None, save=None, no_save=False, as_json=as_json)


def _submit_manifest(manifest: Manifest, **options: Any) -> None:
    from bertkit.kube.pieces import checked

    _submit(checked(list(manifest.objects)), manifest.namespace, **options)


command.params += [*_HOW, NAMESPACE]
add_commands(command, _submit_manifest, _HOW)

"""``bertkit cancel``: the end of a job in a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import click

from bertkit.cli.cluster_options import in_cluster
from bertkit.cli.common import common_options, print_json
from bertkit.cli.options import SAVE, dry_run_option
from bertkit.kube.cluster import Cluster


@click.command()
@click.argument("name")
@click.option(
    "--grace",
    type=click.IntRange(0),
    metavar="SECONDS",
    show_default="what the job says, or 30",
    help="What programs get to end by themselves.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(0),
    default=120.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait until everything is gone.",
)
@SAVE
@dry_run_option("Say what would be deleted")
@in_cluster
@common_options
def command(
    name: str,
    grace: Optional[int],
    timeout: float,
    save: Optional[Path],
    no_save: bool,
    dry_run: bool,
    cluster: Cluster,
    as_json: bool,
) -> int:
    """Keep the logs of the job NAME, delete it with its pods, and say what is left of it."""
    from bertkit.kube.cancel import cancel
    from bertkit.kube.jobs import find_job, picture
    from bertkit.report import jobs as report

    found = find_job(cluster, name)
    if dry_run:
        status = picture(cluster, found)[0]
        if as_json:
            print_json({"would_delete": status.as_dict()})
        else:
            click.echo("would be deleted:")
            report.print_job(status, [])
        return 0
    gone = cancel(cluster, found, grace=grace, timeout=timeout, save=save, keep_logs=not no_save)
    if as_json:
        print_json(gone.as_dict())
    else:
        report.print_cancelled(gone)
    return 1 if gone.left else 0

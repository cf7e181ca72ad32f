"""``bertkit logs``: what a job's pods print."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import click

from bertkit.cli.cluster_options import in_cluster
from bertkit.cli.common import common_options, print_json
from bertkit.cli.options import PATH
from bertkit.kube.cluster import Cluster


@click.command()
@click.argument("name")
@click.option("--launcher", is_flag=True, help="The launcher's (as without any choice).")
@click.option("--worker", type=click.IntRange(0), metavar="N", help="Worker (or share) N's.")
@click.option(
    "--rank",
    type=click.IntRange(0),
    metavar="N",
    help="Of the launcher's lines those that mpirun --tag-output marks as rank N's.",
)
@click.option("--all", "everyone", is_flag=True, help="All pods', one after the other.")
@click.option("--follow", "-f", is_flag=True, help="Go on until the container ends.")
@click.option(
    "--save",
    type=PATH,
    metavar="DIR",
    help="Write all pods' logs below DIR instead of printing one.",
)
@in_cluster
@common_options
def command(
    name: str,
    launcher: bool,
    worker: Optional[int],
    rank: Optional[int],
    everyone: bool,
    follow: bool,
    save: Optional[Path],
    cluster: Cluster,
    as_json: bool,
) -> None:
    """Print what the job NAME prints: its launcher, or one of its workers."""
    from bertkit.kube.choose_logs import chosen
    from bertkit.kube.jobs import find_job
    from bertkit.kube.keep import save_now
    from bertkit.kube.logs import lines, of_rank

    if sum((launcher, worker is not None, rank is not None, everyone, save is not None)) > 1:
        raise click.UsageError("say one of --launcher, --worker, --rank, --all and --save")
    if follow and (everyone or save is not None):
        raise click.UsageError("--follow is for one pod; bertkit wait keeps the logs of all")
    found = find_job(cluster, name)
    pods = chosen(cluster, found, worker=worker, everyone=everyone or save is not None)
    if save is not None:
        directory, troubles = save_now(cluster, found.job, [each.pod for each in pods], save)
        if as_json:
            print_json({"logs": str(directory) if directory else None, "troubles": troubles})
        else:
            click.echo(f"logs: {directory}" if directory else "there are no logs yet")
            for trouble in troubles:
                click.echo(f"not kept: {trouble}")
        return
    collected = []
    for each in pods:
        for source in each.sources:
            if len(pods) > 1 and not as_json:
                click.echo(f"==> {source.pod} ({source.container}) <==")
            printed = lines(cluster, source, follow=follow)
            if rank is not None:
                printed = of_rank(rank, printed)
            if as_json:
                collected.append(
                    {"pod": source.pod, "container": source.container, "lines": list(printed)}
                )
                continue
            for line in printed:
                click.echo(line)
    if as_json:
        print_json({"logs": collected})

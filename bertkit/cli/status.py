"""``bertkit status``: the jobs in a cluster, or one of them in detail."""

from __future__ import annotations

from typing import Optional

import click

from bertkit.cli.cluster_options import in_cluster
from bertkit.cli.common import common_options, print_json
from bertkit.kube.cluster import Cluster


@click.command()
@click.argument("name", required=False)
@in_cluster
@common_options
def command(name: Optional[str], cluster: Cluster, as_json: bool) -> None:
    """Show bertkit's jobs in a cluster, or the job NAME in detail: its pods, and what is wrong.

    NAME may be any job, also one that bertkit did not submit; mpijob/NAME, job/NAME and pod/NAME
    tell jobs of one name apart.
    """
    from bertkit.kube.belonging import belongs, events_about
    from bertkit.kube.jobs import bertkit_jobs, events_if_allowed, find_job, picture
    from bertkit.kube.kinds import POD
    from bertkit.kube.status import status_of
    from bertkit.report import jobs as report

    if name is not None:
        found = find_job(cluster, name)
        status, pods, events = picture(cluster, found)
        own = [pod for pod in pods if belongs(pod, found.job)]
        about = [each for thing in [found.job, *own] for each in events_about(thing, events)]
        if as_json:
            print_json({**status.as_dict(), "events": report.events_as_dicts(about)})
        else:
            report.print_job(status, about)
        return
    jobs = bertkit_jobs(cluster)
    pods = cluster.list(POD)[0] if jobs else []
    events = events_if_allowed(cluster) if jobs else []
    statuses = [status_of(each.job, pods, events) for each in jobs]
    if as_json:
        print_json(
            {
                "namespace": cluster.namespace,
                "server": cluster.server,
                "jobs": [each.as_dict() for each in statuses],
            }
        )
    else:
        report.print_jobs(statuses, cluster.namespace)

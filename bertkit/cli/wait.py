"""``bertkit wait``: a job followed to its end."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Optional

import click

from bertkit.cli.cluster_options import in_cluster
from bertkit.cli.common import common_options, print_json
from bertkit.cli.options import SAVE
from bertkit.kube.cluster import Cluster

log = logging.getLogger("bertkit")


@click.command()
@click.argument("name")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Give up after this (exit code 124); the job goes on.",
)
@SAVE
@in_cluster
@common_options
def command(
    name: str,
    timeout: Optional[float],
    save: Optional[Path],
    no_save: bool,
    cluster: Cluster,
    as_json: bool,
) -> None:
    """Follow the job NAME to its end, keep its pods' logs, and end with its exit code."""
    from bertkit.kube.jobs import find_job

    wait_for(
        cluster, find_job(cluster, name), timeout=timeout, save=save, no_save=no_save,
        as_json=as_json,
    )  # fmt: skip


def wait_for(
    cluster: Cluster,
    found: object,
    *,
    timeout: Optional[float],
    save: Optional[Path],
    no_save: bool,
    as_json: bool,
) -> None:
    """Follow a job that was found, print how it ended, and raise if that was no success."""
    from bertkit.kube.follow import follow, raise_failure
    from bertkit.kube.jobs import Found
    from bertkit.report.jobs import print_outcome

    assert isinstance(found, Found)
    try:
        outcome = follow(cluster, found, timeout=timeout, save=save, keep_logs=not no_save)
    except KeyboardInterrupt:
        log.warning("no longer watched; the job goes on: bertkit wait %s", found.name)
        raise
    if as_json and outcome.exit_code:
        # The error's own JSON is printed besides: this one is the whole picture, in one object.
        click.get_current_context().find_root().obj["as_json"] = False
    if as_json:
        print_json(outcome.as_dict())
    else:
        print_outcome(outcome)
    raise_failure(outcome)

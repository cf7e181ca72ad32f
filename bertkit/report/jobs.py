"""Jobs in a cluster, for people."""

from __future__ import annotations

import shlex
from datetime import datetime, timezone
from typing import Any, Dict, List, Optional, Sequence

import click

from bertkit.kube.belonging import event_time
from bertkit.kube.cancel import Cancelled
from bertkit.kube.follow import Outcome
from bertkit.kube.kinds import Object
from bertkit.kube.status import JobStatus
from bertkit.kube.submit import Submitted

_EVENTS_SHOWN = 10


def print_jobs(statuses: Sequence[JobStatus], namespace: str) -> None:
    """A table with one line a job, and what is wrong with those that have not ended well."""
    if not statuses:
        click.echo(f"no jobs of bertkit's in namespace {namespace}")
        return
    rows = [
        [
            each.name,
            each.kind,
            each.phase + (f" ({each.exit_code})" if each.phase == "failed" else ""),
            f"{sum(pod.doing.startswith('running') for pod in each.pods)} of {len(each.pods)}",
            age(each.created),
        ]
        for each in statuses
    ]
    _table(["job", "kind", "phase", "pods running", "age"], rows)
    for each in statuses:
        if each.phase != "succeeded":
            for why in each.wrong[:3]:
                click.echo(f"{each.name}: {why}")


def print_job(status: JobStatus, events: Sequence[Object]) -> None:
    """One job: its phase, what is wrong, its pods, and its last events."""
    code = f", exit code {status.exit_code}" if status.phase == "failed" else ""
    since = f" since {age(status.since)}" if status.since and not status.ended else ""
    click.echo(
        f"{status.kind} {status.name} in namespace {status.namespace}: {status.phase}{code}{since}"
    )
    if status.message:
        click.echo(f"  {status.message}")
    for why in status.wrong:
        click.echo(f"  ! {why}")
    if status.pods:
        click.echo("")
        _table(
            ["pod", "what", "doing", "node", "restarts", "exit code"],
            [
                [
                    pod.name,
                    pod.who,
                    pod.doing,
                    pod.node or "-",
                    str(pod.restarts),
                    "-" if pod.exit_code is None else str(pod.exit_code),
                ]
                for pod in status.pods
            ],
        )
    else:
        click.echo("  it has no pods now")
    if events:
        click.echo("\nlast events")
        for event in events_as_dicts(events)[-_EVENTS_SHOWN:]:
            click.echo(
                f"  {age(event['when'])} ago  {event['about']}  {event['reason']}: "
                f"{event['message']}"
            )


def print_submitted(result: Submitted, context: Optional[str]) -> None:
    """What was made, and the commands to go on with."""
    verb = "would be made" if result.dry_run else "made"
    for kind, name in result.objects:
        click.echo(f"{verb}: {kind} {name} in namespace {result.namespace}")
    if result.dry_run:
        click.echo("the cluster has checked everything; nothing was made")
        return
    where = f" --namespace {shlex.quote(result.namespace)}"
    where += f" --context {shlex.quote(context)}" if context else ""
    for name in result.jobs:
        for command in ("status", "wait", "logs", "cancel"):
            click.echo(f"next: bertkit {command} {name}{where}")


def print_outcome(outcome: Outcome) -> None:
    """How a job ended, and where its logs are."""
    print_job(outcome.status, [])
    if outcome.logs:
        click.echo(f"\nlogs: {outcome.logs}")
    for trouble in outcome.log_troubles:
        click.echo(f"not kept: {trouble}")


def print_cancelled(gone: Cancelled) -> None:
    """What is left of a job."""
    if gone.left:
        click.echo(f"{gone.name} is asked to end, but still there: {', '.join(gone.left)}")
        click.echo("  next: kubectl get pods; a pod on a lost node goes with that node's return")
    else:
        click.echo(f"{gone.name} is gone, with all its pods")
    if gone.logs:
        click.echo(f"logs: {gone.logs}")


def events_as_dicts(events: Sequence[Object]) -> List[Dict[str, Any]]:
    """Events as JSON values, oldest first."""
    found: List[Dict[str, Any]] = [
        {
            "when": event_time(each),
            "type": each.get("type"),
            "reason": each.get("reason"),
            "about": (each.get("involvedObject") or {}).get("name"),
            "count": each.get("count") or 1,
            "message": " ".join(str(each.get("message") or "").split()),
        }
        for each in events
    ]
    return sorted(found, key=lambda each: str(each["when"]))


def age(when: Optional[str]) -> str:
    """How long ago a time of the API was, shortly: ``45 s``, ``12 min``, ``3 h``, ``2 d``."""
    try:
        then = datetime.strptime(str(when)[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc)
    except ValueError:
        return "?"
    seconds = max(0, int((datetime.now(timezone.utc) - then).total_seconds()))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    for row in [header, *rows]:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())

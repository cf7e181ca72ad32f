"""Finding jobs in a cluster, and everything that belongs to one."""

from __future__ import annotations

import logging
from typing import List, NamedTuple, Optional, Tuple

from bertkit.errors import UsageProblem
from bertkit.kube.belonging import belongs
from bertkit.kube.cluster import Cluster
from bertkit.kube.kinds import EVENT, JOB, POD, Kind, Object, meta
from bertkit.kube.status import JobStatus, status_of
from bertkit.kube.trouble import Refused

log = logging.getLogger("bertkit")

#: what `bertkit manifest` and `bertkit submit` label a job with
MANAGED = ("app.kubernetes.io/managed-by", "bertkit")

_SHORT = {"mpijob": "MPIJob", "job": "Job", "pod": "Pod"}


class Found(NamedTuple):
    """A job as the cluster has it."""

    kind: Kind
    job: Object

    @property
    def name(self) -> str:
        """Its name."""
        return str(meta(self.job)["name"])

    @property
    def uid(self) -> str:
        """What tells it from another of the same name."""
        return str(meta(self.job)["uid"])


def find_job(cluster: Cluster, wanted: str) -> Found:
    """The job called *wanted*: an MPIJob, else a Job, else a Pod.

    Args:
        cluster: where.
        wanted: its name, or ``mpijob/NAME``, ``job/NAME``, ``pod/NAME``.

    Raises:
        UsageProblem: there is none.
        Refused, Unreachable: the cluster does not say.
    """
    prefix, _, name = wanted.rpartition("/")
    if prefix and prefix.lower() not in _SHORT:
        raise UsageProblem(f"{prefix} is no kind of job", next_step=f"mpijob/{name} or job/{name}")
    forbidden: Optional[Refused] = None
    kinds = [*cluster.mpijob_kinds(), JOB, POD]
    for kind in kinds:
        if prefix and kind.name != _SHORT[prefix.lower()]:
            continue
        try:
            job = cluster.find(kind, name)
        except Refused as error:
            if error.status != 403:
                raise
            forbidden = forbidden or error
            continue
        if job is not None:
            # What is got alone says its kind; what is listed does not.
            return Found(kind, {**job, "kind": kind.name})
    if forbidden is not None:
        raise forbidden
    cluster.check_namespace()
    served = any(kind.name == "MPIJob" for kind in kinds)
    raise UsageProblem(
        f"there is no job {wanted}",
        where=f"namespace {cluster.namespace} of {cluster.server}",
        why=None if served else "and this cluster has no MPIJobs at all: it lacks the MPI operator",
        next_step=f"bertkit status --namespace {cluster.namespace}",
    )


def bertkit_jobs(cluster: Cluster) -> List[Found]:
    """All jobs that bertkit submitted, the newest last.

    Raises:
        Refused, Unreachable: the cluster does not say.
    """
    selector = "=".join(MANAGED)
    found = []
    for kind in (*cluster.mpijob_kinds(), JOB, POD):
        jobs, _ = cluster.list(kind, labelSelector=selector)
        found += [
            Found(kind, {**job, "kind": kind.name})
            for job in jobs
            if not meta(job).get("ownerReferences")  # else it is a part of one
        ]
    if not found:
        cluster.check_namespace()
    return sorted(found, key=lambda each: str(meta(each.job).get("creationTimestamp")))


def pods_of(cluster: Cluster, found: Found) -> List[Object]:
    """The pods of a job that are there now, by name.

    Raises:
        Refused, Unreachable: the cluster does not say.
    """
    if found.kind == POD:
        pod = cluster.find(POD, found.name)
        return [pod] if pod is not None and belongs(pod, found.job) else []
    own = [pod for pod in cluster.list(POD)[0] if belongs(pod, found.job)]
    return sorted(own, key=lambda pod: str(meta(pod).get("name")))


def picture(cluster: Cluster, found: Found) -> Tuple[JobStatus, List[Object], List[Object]]:
    """How a job is doing now, with its namespace's pods and events.

    Raises:
        Refused, Unreachable: the cluster does not say.
    """
    pods = [found.job] if found.kind == POD else cluster.list(POD)[0]
    events = events_if_allowed(cluster)
    return status_of(found.job, pods, events), pods, events


def events_if_allowed(cluster: Cluster) -> List[Object]:
    """The namespace's events; none, and a word about it, where the user may not see them."""
    try:
        return cluster.list(EVENT)[0]
    except Refused as error:
        if error.status != 403:
            raise
        log.warning("without events: %s", error.what)
        return []

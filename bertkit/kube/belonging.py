"""Which pods and events belong to a job, and what a pod is in it."""

from __future__ import annotations

import re
from typing import Any, List, Mapping, Optional, Sequence, Tuple

from bertkit.kube.kinds import Object, meta

#: the MPI operator's labels: of 0.3 and newer, and of 0.2
_JOB_LABELS = ("training.kubeflow.org/job-name", "mpi-job-name")
_ROLE_LABELS = ("training.kubeflow.org/job-role", "mpi-job-role")
_INDEX = "batch.kubernetes.io/job-completion-index"


def belongs(pod: Object, job: Object) -> bool:
    """Whether *pod* is one of *job*'s, or *job* itself."""
    about, own = meta(pod), meta(job)
    if job.get("kind") == "Pod":
        return about.get("uid") == own.get("uid")
    owners = about.get("ownerReferences") or []
    if any(owner.get("uid") == own.get("uid") for owner in owners):
        return True
    if job.get("kind") != "MPIJob" or about.get("namespace") != own.get("namespace"):
        return False
    # The launcher's owner is a Job between the two, of which the MPIJob is the owner.
    name = str(own.get("name"))
    between = any(
        owner.get("kind") == "Job" and owner.get("name") == f"{name}-launcher" for owner in owners
    )
    # Times have whole seconds: a pod of an earlier job of that name is older, never younger.
    younger = str(about.get("creationTimestamp")) >= str(own.get("creationTimestamp"))
    return between and younger and _label(pod, _JOB_LABELS) in (name, None)


def role_and_number(pod: Object, job: Object) -> Tuple[str, Optional[int]]:
    """``launcher``, ``worker`` or ``pod``, and the worker's (or the share's) number."""
    name = str(meta(pod).get("name"))
    own = re.escape(str(meta(job).get("name")))
    if job.get("kind") == "MPIJob":
        worker = re.fullmatch(rf"{own}-worker-(\d+)", name)
        if worker:
            return "worker", int(worker.group(1))
        role = _label(pod, _ROLE_LABELS)
        if role == "launcher" or re.fullmatch(rf"{own}-launcher(-\w+)?", name):
            return "launcher", None
        return role or "pod", None
    index = str((meta(pod).get("annotations") or {}).get(_INDEX))
    return "pod", int(index) if index.isdigit() else None


def events_about(thing: Object, events: Sequence[Object]) -> List[Object]:
    """The events about one object, oldest first."""
    uid = meta(thing).get("uid")
    about = [
        each for each in events if uid and (each.get("involvedObject") or {}).get("uid") == uid
    ]
    return sorted(about, key=event_time)


def event_time(event: Object) -> str:
    """When an event last happened, as the API writes times; empty if it does not say."""
    series: Mapping[str, Any] = event.get("series") or {}
    for found in (
        series.get("lastObservedTime"),
        event.get("lastTimestamp"),
        event.get("eventTime"),
        event.get("firstTimestamp"),
        meta(event).get("creationTimestamp"),
    ):
        if found:
            return str(found)
    return ""


def _label(pod: Object, names: Sequence[str]) -> Optional[str]:
    labels = meta(pod).get("labels") or {}
    return next((str(labels[name]) for name in names if labels.get(name)), None)

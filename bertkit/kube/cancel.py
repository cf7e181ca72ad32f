"""``bertkit cancel``: a job and its pods, gone, with their logs kept first."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from bertkit.kube.belonging import role_and_number
from bertkit.kube.cluster import Cluster
from bertkit.kube.jobs import Found, pods_of
from bertkit.kube.keep import save_now
from bertkit.kube.kinds import POD, meta
from bertkit.kube.trouble import Refused

log = logging.getLogger("bertkit")

_PAUSE = 0.3


@dataclass(frozen=True)
class Cancelled:
    """What is left of a job.

    Attributes:
        name, namespace: of the job.
        logs: the directory with its logs, if there were any.
        log_troubles: what could not be kept.
        left: what was still there in the end, in words.
    """

    name: str
    namespace: str
    logs: Optional[Path]
    log_troubles: Tuple[str, ...]
    left: Tuple[str, ...]

    def as_dict(self) -> Dict[str, Any]:
        """As JSON values."""
        return {
            "name": self.name,
            "namespace": self.namespace,
            "logs": str(self.logs) if self.logs else None,
            "log_troubles": list(self.log_troubles),
            "left": list(self.left),
        }


def cancel(
    cluster: Cluster,
    found: Found,
    *,
    grace: Optional[int] = None,
    timeout: float = 120.0,
    save: Optional[Path] = None,
    keep_logs: bool = True,
) -> Cancelled:
    """Keep a job's logs, delete it with its pods, and wait until they are gone.

    Args:
        cluster: where it is.
        found: the job.
        grace: seconds that the pods' programs get to end; default: what the pods say.
        timeout: seconds to wait for everything to be gone.
        save: below which directory the logs are kept; default ``bertkit-logs``.
        keep_logs: whether they are kept at all.

    Raises:
        Refused, Unreachable: the cluster says no, or nothing.
    """
    pods = pods_of(cluster, found)
    logs: Optional[Path] = None
    troubles: List[str] = []
    if keep_logs:
        logs, troubles = save_now(cluster, found.job, pods, save)
        for trouble in troubles:
            log.warning("a log is not kept: %s", trouble)
    try:
        cluster.delete(found.kind, found.name, found.uid, grace=grace)
    except Refused as error:
        if error.status != 404:
            raise
    log.info("asked for the end of %s %s", found.kind.name, found.name)
    left = _wait(cluster, found, timeout)
    return Cancelled(found.name, cluster.namespace, logs, tuple(troubles), tuple(left))


def _wait(cluster: Cluster, found: Found, timeout: float) -> List[str]:
    """Wait until job and pods are gone; what is left, in words."""
    end = time.monotonic() + timeout
    said = ""
    while True:
        left = _left(cluster, found)
        if not left or time.monotonic() >= end:
            return left
        now = ", ".join(left)
        if now != said:
            log.info("waits for the end of %s", now)
            said = now
        time.sleep(_PAUSE)


def _left(cluster: Cluster, found: Found) -> List[str]:
    left = []
    for pod in pods_of(cluster, found):
        role, number = role_and_number(pod, found.job)
        node = (pod.get("spec") or {}).get("nodeName")
        where = f" on {node}" if node else ""
        which = role if number is None else f"{role} {number}"
        left.append(f"{which} ({meta(pod).get('name')}{where})")
    job = cluster.find(found.kind, found.name)
    if found.kind != POD and job is not None and meta(job).get("uid") == found.uid:
        left.append(f"{found.kind.name} {found.name}")
    return left

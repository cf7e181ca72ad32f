"""``bertkit wait``: a job followed to its end, its changes told, its logs kept."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Set, Tuple

from bertkit.errors import BertkitError, RunFailed
from bertkit.kube.belonging import belongs, event_time, events_about
from bertkit.kube.cluster import Cluster
from bertkit.kube.jobs import Found
from bertkit.kube.keep import Keeper, directory_for
from bertkit.kube.kinds import EVENT, POD, Object, meta
from bertkit.kube.mirror import Mirror
from bertkit.kube.status import JobStatus, status_of
from bertkit.kube.trouble import Refused

log = logging.getLogger("bertkit")

TIMED_OUT = 124
#: seconds for a pod's own end to arrive after its job's, and for its log's end
_SETTLE_SECONDS = 10.0
_LOGS_SECONDS = 60.0


@dataclass(frozen=True)
class Outcome:
    """How following ended.

    Attributes:
        status: the last picture.
        exit_code: the job's; 124: it had not ended in time; 1: it was deleted.
        why: in one line, unless it succeeded.
        logs: the directory with its logs, if there are any.
        log_troubles: what could not be kept.
    """

    status: JobStatus
    exit_code: int
    why: Optional[str]
    logs: Optional[Path]
    log_troubles: Tuple[str, ...] = ()

    def as_dict(self) -> Dict[str, Any]:
        """As JSON values."""
        return {
            "exit_code": self.exit_code,
            "why": self.why,
            "logs": str(self.logs) if self.logs else None,
            "log_troubles": list(self.log_troubles),
            "job": self.status.as_dict(),
        }


def follow(
    cluster: Cluster,
    found: Found,
    *,
    timeout: Optional[float] = None,
    save: Optional[Path] = None,
    keep_logs: bool = True,
    say: Callable[[str], None] = log.info,
    patience: float = 600.0,
) -> Outcome:
    """Follow a job to its end.

    Args:
        cluster: where it is.
        found: the job.
        timeout: seconds after which to give up; the job goes on.
        save: below which directory its logs are kept; default ``bertkit-logs``.
        keep_logs: whether they are kept at all.
        say: gets a line for every change.
        patience: seconds without an answer of the cluster after which to give up.

    Raises:
        Refused, Unreachable: the cluster says no, or nothing for too long. The job goes on.
    """
    changed = threading.Event()
    mirrors = {
        "job": Mirror(cluster, found.kind, changed, name=found.name, patience=patience),
        "pods": Mirror(cluster, POD, changed, patience=patience),
        "events": Mirror(cluster, EVENT, changed, patience=patience),
    }
    keeper = Keeper(cluster, directory_for(save, found.job)) if keep_logs else None
    watcher = _Watcher(found, mirrors, keeper, say)
    for mirror in mirrors.values():
        mirror.start()
    end = None if timeout is None else time.monotonic() + timeout
    try:
        status, why = watcher.to_the_end(changed, end)
        if keeper is not None and why != _TOO_LATE:
            keeper.finish(_LOGS_SECONDS)
    finally:
        for mirror in mirrors.values():
            mirror.stop()
        if keeper is not None:
            keeper.stop()
        cluster.hang_up()
    code = TIMED_OUT if why == _TOO_LATE else 1 if why == _DELETED else status.exit_code or 0
    if why is None and status.phase == "failed":
        why = "; ".join(status.wrong) or status.message or f"it ended with exit code {code}"
    return Outcome(
        status,
        code,
        why,
        keeper.directory if keeper and keeper.files else None,
        tuple(keeper.troubles) if keeper and why != _TOO_LATE else (),
    )


def raise_failure(outcome: Outcome) -> None:
    """Raise what a job that did not succeed ends ``bertkit wait`` with.

    Raises:
        RunFailed: it did not; carries the exit code.
    """
    status = outcome.status
    if outcome.exit_code == 0:
        return
    if outcome.exit_code == TIMED_OUT and outcome.why == _TOO_LATE:
        what, next_step = f"{status.name} has not ended", f"bertkit wait {status.name}"
    elif outcome.why == _DELETED:
        what, next_step = f"{status.name} is gone", f"bertkit status --namespace {status.namespace}"
    else:
        what = f"{status.name} failed with exit code {outcome.exit_code}"
        next_step = (
            f"read the logs in {outcome.logs}"
            if outcome.logs
            else f"bertkit status {status.name}; bertkit logs {status.name}"
        )
    raise RunFailed(
        what,
        code=outcome.exit_code,
        where=f"{status.kind} {status.name} in namespace {status.namespace}",
        why=outcome.why,
        next_step=next_step,
    )


_TOO_LATE = "the time given with --timeout is over; the job goes on"
_DELETED = "someone deleted it, or its time to live was over, before its end was seen"


class _Watcher:
    """Puts the mirrors together, tells what is new, and sees the end."""

    def __init__(
        self,
        found: Found,
        mirrors: Dict[str, Mirror],
        keeper: Optional[Keeper],
        say: Callable[[str], None],
    ) -> None:
        self._found = found
        self._mirrors = mirrors
        self._keeper = keeper
        self._say = say
        self._job: Object = found.job
        self._told: Set[str] = set()
        self._phase = ""
        self._doing: Dict[str, str] = {}

    def to_the_end(
        self, changed: threading.Event, end: Optional[float]
    ) -> Tuple[JobStatus, Optional[str]]:
        """Watch until the job has ended, is gone, or *end* has come; the last picture, and why."""
        settled_by: Optional[float] = None
        while True:
            left = 1.0 if end is None else max(0.0, min(1.0, end - time.monotonic()))
            changed.wait(left)
            changed.clear()
            self._check()
            deleted = self._refresh()
            status = self._picture()
            self._tell(status)
            if self._keeper is not None:
                pods = self._mirrors["pods"].objects()
                self._keeper.look([pod for pod in pods if belongs(pod, self._job)])
            now = time.monotonic()
            if status.ended:
                settled_by = settled_by or now + _SETTLE_SECONDS
                if now >= settled_by or self._settled(status):
                    return status, None
            elif deleted:
                return status, _DELETED
            if end is not None and now >= end:
                return status, (None if status.ended else _TOO_LATE)

    def _check(self) -> None:
        for which, mirror in self._mirrors.items():
            error = mirror.error
            if error is None:
                continue
            if which == "events" and isinstance(error, Refused) and error.status == 403:
                if "events" not in self._told:
                    self._told.add("events")
                    log.warning("without events: %s", error.what)
                continue
            raise _goes_on(error, self._found.name)

    def _refresh(self) -> bool:
        """Take the job's newest state; True if it is there no more."""
        mirror = self._mirrors["job"]
        for each in mirror.objects() + mirror.gone():
            if meta(each).get("uid") == self._found.uid:
                self._job = {**each, "kind": self._found.kind.name}
        here = {meta(each).get("uid") for each in mirror.objects()}
        return mirror.ready and self._found.uid not in here

    def _picture(self) -> JobStatus:
        pods = self._mirrors["pods"]
        return status_of(self._job, pods.objects(), self._mirrors["events"].objects(), pods.gone())

    def _settled(self, status: JobStatus) -> bool:
        """Whether the pods' own ends are known: they come after the job's, or were before it."""
        if not self._mirrors["pods"].ready:
            return False
        deciding = [pod for pod in status.pods if pod.role == "launcher"] or list(status.pods)
        return all(pod.gone or pod.doing in ("ended well", "failed") for pod in deciding)

    def _tell(self, status: JobStatus) -> None:
        if status.phase != self._phase:
            self._phase = status.phase
            self._line(f"{status.name} {_PHASES[status.phase]}")
        for pod in status.pods:
            if self._doing.get(pod.name) != pod.doing:
                self._doing[pod.name] = pod.doing
                on = f" on {pod.node}" if pod.node and pod.doing.startswith("running") else ""
                self._line(f"{pod.who}: {pod.doing}{on}")
        for why in status.wrong:
            self._once(f"! {why}")
        for event in self._own_events():
            count = event.get("count") or 1
            text = " ".join(str(event.get("message") or "").split())[:300]
            about = (event.get("involvedObject") or {}).get("name")
            if event.get("type") == "Warning" and not any(text[:80] in w for w in status.wrong):
                times = f" ({count} times)" if count in (10, 100, 1000) else ""
                self._once(f"! event of {about}: {event.get('reason')}: {text}{times}")

    def _own_events(self) -> List[Object]:
        events = self._mirrors["events"].objects()
        pods = self._mirrors["pods"]
        things = [pod for pod in pods.objects() + pods.gone() if belongs(pod, self._job)]
        own = [each for thing in [self._job, *things] for each in events_about(thing, events)]
        return sorted(own, key=event_time)

    def _once(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self._line(text)

    def _line(self, text: str) -> None:
        self._say(f"{datetime.now(timezone.utc):%H:%M:%S} {text}")


_PHASES = {
    "waiting": "waits: none of its pods runs yet",
    "starting": "starts: some of its pods run",
    "running": "runs",
    "suspended": "is suspended",
    "ending": "is being deleted",
    "succeeded": "has succeeded",
    "failed": "has failed",
}


def _goes_on(error: BertkitError, name: str) -> BertkitError:
    """The same error, with a word about the job, which knows nothing of it."""
    error.next_step = f"the job itself goes on; {error.next_step}; then: bertkit wait {name}"
    return error

"""A job, its pods and its events become one picture: how far it is, and what is wrong."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from bertkit.kube import words
from bertkit.kube.belonging import belongs, events_about, role_and_number
from bertkit.kube.kinds import Object, meta

#: phases in which nothing more comes
ENDED = ("succeeded", "failed")


@dataclass(frozen=True)
class PodStatus:
    """One pod of a job.

    Attributes:
        name: of the pod.
        role: ``launcher``, ``worker`` or ``pod``.
        number: of a worker, or of a share of an indexed Job.
        doing: in a few words.
        node: where it is.
        restarts: of its containers, all together.
        exit_code: of the container that failed, else of the one that ended; None: none ended.
        wrong: what is wrong with it, in words.
        gone: it is there no more.
    """

    name: str
    role: str
    number: Optional[int]
    doing: str
    node: Optional[str]
    restarts: int
    exit_code: Optional[int]
    wrong: Tuple[str, ...]
    gone: bool = False

    @property
    def who(self) -> str:
        """For people: ``launcher``, ``worker 1``."""
        return self.role if self.number is None else f"{self.role} {self.number}"


@dataclass(frozen=True)
class JobStatus:
    """One job.

    Attributes:
        kind, name, namespace, uid, created: of the object.
        phase: ``waiting`` (no pod runs), ``starting`` (not all run), ``running``, ``suspended``,
            ``ending`` (being deleted), ``succeeded`` or ``failed``.
        since: when that came about, as the API writes times; None: not known.
        exit_code: once it has ended: the launcher's (or the first failing pod's).
        message: what the operator says about a failure.
        wrong: what is wrong with it as a whole, and with its pods, in words.
        pods: the launcher first, then the workers by number.
    """

    kind: str
    name: str
    namespace: str
    uid: str
    created: str
    phase: str
    since: Optional[str]
    exit_code: Optional[int]
    message: Optional[str]
    wrong: Tuple[str, ...]
    pods: Tuple[PodStatus, ...]

    @property
    def ended(self) -> bool:
        """Whether nothing more comes."""
        return self.phase in ENDED

    def as_dict(self) -> Dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def status_of(
    job: Object,
    pods: Sequence[Object],
    events: Sequence[Object] = (),
    gone: Sequence[Object] = (),
) -> JobStatus:
    """The picture of *job*.

    Args:
        job: an MPIJob, Job or Pod.
        pods: of its namespace; those of other jobs are left out.
        events: of its namespace.
        gone: pods that were there once, as they were last seen.
    """
    own = [pod for pod in pods if belongs(pod, job)]
    here = {meta(pod).get("uid") for pod in own}
    past = [pod for pod in gone if belongs(pod, job) and meta(pod).get("uid") not in here]
    seen = sorted(
        [*(_pod(pod, job, events) for pod in own), *(_pod(pod, job, events, True) for pod in past)],
        key=lambda each: (each.role != "launcher", each.number or 0, each.name, each.gone),
    )
    phase, since, message = _phase(job, seen)
    exit_code = None
    if phase == "succeeded":
        exit_code = 0
    elif phase == "failed":
        exit_code = _exit_code([*own, *past], job)
    named = [f"{pod.who}: {why}" for pod in seen for why in pod.wrong]
    return JobStatus(
        kind=str(job.get("kind")),
        name=str(meta(job).get("name")),
        namespace=str(meta(job).get("namespace")),
        uid=str(meta(job).get("uid")),
        created=str(meta(job).get("creationTimestamp")),
        phase=phase,
        since=since,
        exit_code=exit_code,
        message=message,
        wrong=tuple(dict.fromkeys([*_of_the_job(job, events, phase), *named])),
        pods=tuple(seen),
    )


def _pod(pod: Object, job: Object, events: Sequence[Object], gone: bool = False) -> PodStatus:
    role, number = role_and_number(pod, job)
    states = words.containers(pod)
    code, _ = _ending(pod)
    return PodStatus(
        name=str(meta(pod).get("name")),
        role=role,
        number=number,
        doing=_gone(words.doing(pod)) if gone else words.doing(pod),
        node=(pod.get("spec") or {}).get("nodeName"),
        restarts=sum(int(each.get("restartCount") or 0) for each in states),
        exit_code=code,
        wrong=tuple(words.wrong(pod, events_about(pod, events))),
        gone=gone,
    )


def _gone(doing: str) -> str:
    return f"gone ({doing})" if doing in ("ended well", "failed") else "gone"


def _phase(job: Object, pods: Sequence[PodStatus]) -> Tuple[str, Optional[str], Optional[str]]:
    """The phase, since when, and the operator's message about a failure."""
    status = job.get("status") or {}
    if job.get("kind") == "Pod":
        phase = status.get("phase")
        if phase in ("Succeeded", "Failed"):
            return phase.lower(), _finished(job), status.get("message")
    else:
        for condition in reversed(status.get("conditions") or []):
            kind = condition.get("type")
            if condition.get("status") == "True" and kind in (
                "Complete", "Succeeded", "Failed", "Suspended",
            ):  # fmt: skip
                since = condition.get("lastTransitionTime")
                if kind == "Failed":
                    return "failed", since, condition.get("message")
                return ("suspended" if kind == "Suspended" else "succeeded"), since, None
    if meta(job).get("deletionTimestamp"):
        return "ending", meta(job)["deletionTimestamp"], None
    living = [pod for pod in pods if not pod.gone]
    running = [pod for pod in living if pod.doing.startswith(("running", "ended", "failed"))]
    wanted = _pods_wanted(job)
    if wanted and len(running) >= wanted:
        return "running", status.get("startTime"), None
    launcher_runs = any(pod.role == "launcher" for pod in running)
    phase = "running" if launcher_runs else "starting" if running else "waiting"
    return phase, status.get("startTime") or meta(job).get("creationTimestamp"), None


def _pods_wanted(job: Object) -> int:
    spec = job.get("spec") or {}
    if job.get("kind") == "MPIJob":
        replicas: Mapping[str, Any] = spec.get("mpiReplicaSpecs") or {}
        return sum(int((each or {}).get("replicas") or 1) for each in replicas.values())
    return int(spec.get("parallelism") or 1) if job.get("kind") == "Job" else 1


def _of_the_job(job: Object, events: Sequence[Object], phase: str) -> List[str]:
    """What events about the job itself say: pods that could not even be made."""
    if phase in ENDED:
        return []
    found = []
    for event in events_about(job, events):
        message = " ".join(str(event.get("message") or "").split())[:300]
        if "exceeded quota" in message:
            found.append(f"its pods do not fit into the quota: {message}")
        elif event.get("type") == "Warning" and "Failed" in str(event.get("reason")):
            found.append(message)
    return found


def _exit_code(pods: Sequence[Object], job: Object) -> int:
    """The launcher's own exit code, or that of the pod that failed first; 1 if none is known."""
    launchers = [pod for pod in pods if role_and_number(pod, job)[0] == "launcher"]
    endings = [_ending(pod) for pod in (launchers or pods)]
    failed = sorted((when, code) for code, when in endings if code)
    if not failed:
        return 1
    # A launcher that was started anew counts with its last attempt.
    return failed[-1][1] if launchers else failed[0][1]


def _ending(pod: Object) -> Tuple[Optional[int], str]:
    """The exit code of a pod, and when it ended: the first that failed, else the last."""
    found = []
    for container in words.containers(pod):
        how = words.terminated(container)
        if how is not None and isinstance(how.get("exitCode"), int):
            found.append((str(how.get("finishedAt") or ""), int(how["exitCode"])))
    failed = sorted(each for each in found if each[1] != 0)
    if failed:
        return failed[0][1], failed[0][0]
    if found and (pod.get("status") or {}).get("phase") == "Succeeded":
        return 0, max(found)[0]
    return None, ""


def _finished(pod: Object) -> Optional[str]:
    times = [
        str(how.get("finishedAt"))
        for how in map(words.terminated, words.containers(pod))
        if how is not None and how.get("finishedAt")
    ]
    return max(times) if times else None

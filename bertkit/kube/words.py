"""What a pod is doing, and what is wrong with it, in words."""

from __future__ import annotations

import contextlib
import signal
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence

from bertkit.kube.kinds import Object, meta
from bertkit.kube.scheduling import unschedulable

_IMAGE = {
    "ErrImagePull", "ImagePullBackOff", "ImageInspectError", "ErrImageNeverPull",
    "RegistryUnavailable", "InvalidImageName",
}  # fmt: skip

#: reasons of a pod's own status, and of events, that say that its node is the trouble
_NODE_LOST = {"NodeLost", "NodeNotReady", "TaintManagerEviction", "NodeShutdown", "Shutdown"}
_DISRUPTIONS = {
    "PreemptionByScheduler": "it had to make room for a more important pod (preempted)",
    "DeletionByTaintManager": "its node became unfit or was lost",
    "DeletionByPodGC": "its node is gone",
    "EvictionByEvictionAPI": "someone emptied its node (drained)",
    "TerminationByKubelet": "its node ended it (short of something, or shut down)",
}

_OUT_OF_MEMORY = "OOMKilled"


def containers(pod: Object) -> List[Object]:
    """The states of a pod's containers, those of the set-up first."""
    status = pod.get("status") or {}
    states: List[Object] = []
    for key in ("initContainerStatuses", "containerStatuses"):
        states += [each for each in status.get(key) or [] if isinstance(each, dict)]
    return states


def terminated(container: Object) -> Optional[Object]:
    """How a container ended; None if it has not."""
    found = (container.get("state") or {}).get("terminated")
    return found if isinstance(found, dict) else None


def doing(pod: Object) -> str:
    """What a pod is doing, in a few words."""
    status = pod.get("status") or {}
    phase = status.get("phase")
    if phase == "Succeeded":
        return "ended well"
    if phase == "Failed":
        return "failed"
    if meta(pod).get("deletionTimestamp"):
        return "being deleted"
    if phase == "Unknown" or _condition(pod, "Ready").get("status") == "Unknown":
        return "lost"
    if phase == "Running":
        ready = _condition(pod, "Ready").get("status") == "True"
        return "running" if ready else "running, not ready"
    if not (pod.get("spec") or {}).get("nodeName"):
        return "waits for a node"
    inits = status.get("initContainerStatuses") or []
    for number, each in enumerate(inits, start=1):
        ended = terminated(each)
        if ended is None or ended.get("exitCode"):
            return f"set-up, step {number} of {len(inits)}: {each.get('name')}"
    return "starts"


def wrong(pod: Object, events: Sequence[Object] = ()) -> List[str]:
    """What is wrong with a pod, most telling first; empty if nothing is.

    Args:
        pod: as the API has it.
        events: those about this pod, oldest first.
    """
    found: List[str] = []
    found += _of_the_pod(pod)
    for container in containers(pod):
        found += _of_a_container(pod, container)
    if (pod.get("status") or {}).get("phase") == "Pending":
        found += _from_events(events)
    lost = any(each.get("reason") in _NODE_LOST for each in events)
    if lost and not found and doing(pod) != "ended well":
        found.append(f"its node {_node(pod)} is lost or not ready")
    return list(dict.fromkeys(found))


def ended(how: Object, memory: Optional[str] = None) -> str:
    """How a container ended, in words.

    Args:
        how: its ``terminated`` state.
        memory: its memory limit.
    """
    code = how.get("exitCode")
    reason = how.get("reason")
    if reason == _OUT_OF_MEMORY:
        limit = f", its limit is {memory}" if memory else ""
        return f"killed: out of memory{limit} (exit code {code})"
    if reason in ("ContainerCannotRun", "StartError"):
        return f"could not be started: {_short(how.get('message'))} (exit code {code})"
    if code == 0:
        return "ended well"
    if isinstance(code, int) and code > 128:
        with contextlib.suppress(ValueError):
            return f"ended by {signal.Signals(code - 128).name} (exit code {code})"
    return f"failed with exit code {code}"


def _of_the_pod(pod: Object) -> Iterator[str]:
    status = pod.get("status") or {}
    reason, message = status.get("reason"), _short(status.get("message"))
    if reason == "Evicted":
        yield f"evicted from node {_node(pod)}: {message}"
    elif reason in _NODE_LOST:
        yield f"its node {_node(pod)} is lost or was shut down: {message or reason}"
    elif reason == "UnexpectedAdmissionError" or str(reason).startswith("OutOf"):
        yield f"node {_node(pod)} could not give what it asks for: {message or reason}"
    elif reason == "DeadlineExceeded":
        yield "it ran longer than its deadline (activeDeadlineSeconds)"
    elif reason and status.get("phase") == "Failed":
        yield f"{reason}: {message}" if message else str(reason)
    if doing(pod) == "lost":
        yield f"its node {_node(pod)} does not answer any more"
    disruption = _condition(pod, "DisruptionTarget")
    if disruption.get("status") == "True" and reason != "Evicted":
        why = str(disruption.get("reason"))
        yield _DISRUPTIONS.get(why, f"{why}: {_short(disruption.get('message'))}")
    scheduled = _condition(pod, "PodScheduled")
    if scheduled.get("status") == "False":
        yield from unschedulable(str(scheduled.get("message") or ""))


def _of_a_container(pod: Object, container: Object) -> Iterator[str]:
    name = container.get("name")
    memory = _memory_limit(pod, name)
    ending = terminated(container)
    if ending is not None and (
        ending.get("exitCode") != 0 or ending.get("reason") == _OUT_OF_MEMORY
    ):
        yield f"{name} {ended(ending, memory)}"
    waiting = (container.get("state") or {}).get("waiting") or {}
    reason, message = waiting.get("reason"), _short(waiting.get("message"))
    if reason in _IMAGE:
        image = f"{name}'s image {container.get('image')} cannot be had"
        yield f"{image}: {message}" if message else image
    elif reason == "CrashLoopBackOff":
        yield f"{name} ends again and again, and is started anew"
    elif reason in ("CreateContainerConfigError", "CreateContainerError", "RunContainerError"):
        yield f"{name} cannot be started: {message or reason}"
    last = (container.get("lastState") or {}).get("terminated")
    if isinstance(last, dict) and ending is None:
        count = container.get("restartCount")
        yield f"{name} was started anew ({count} times so far): it {ended(last, memory)}"


def _from_events(events: Sequence[Object]) -> Iterator[str]:
    """What only events tell about a pod that does not come to run."""
    for event in events:
        reason, message = event.get("reason"), _short(event.get("message"))
        if reason in ("FailedMount", "FailedAttachVolume", "FailedMapVolume"):
            yield f"a volume cannot be mounted: {message}"
        elif reason == "FailedCreatePodSandBox":
            yield f"its node cannot set it up: {message}"


def _condition(pod: Object, kind: str) -> Mapping[str, Any]:
    for each in (pod.get("status") or {}).get("conditions") or []:
        if isinstance(each, dict) and each.get("type") == kind:
            return each
    return {}


def _memory_limit(pod: Object, name: object) -> Optional[str]:
    spec: Dict[str, Any] = pod.get("spec") or {}
    for key in ("containers", "initContainers"):
        for each in spec.get(key) or []:
            if each.get("name") == name:
                limit = ((each.get("resources") or {}).get("limits") or {}).get("memory")
                return None if limit is None else str(limit)
    return None


def _node(pod: Object) -> str:
    return str((pod.get("spec") or {}).get("nodeName") or "?")


def _short(text: object) -> str:
    return " ".join(str(text or "").split())[:300]

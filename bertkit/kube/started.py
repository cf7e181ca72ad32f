"""What is started in the pods of a manifest: argument lists and variables, as kubelet has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Mapping, Tuple

#: what the operator of MPIJob v1 starts in workers; ranks come by `kubectl exec`
_V1_WORKER = ("sleep", "365d")


@dataclass(frozen=True)
class Started:
    """What runs in one kind of pod.

    Attributes:
        argv: the container's command.
        environment: the variables that the manifest sets; the image's and the operator's are not
            among them.
        replicas: how many such pods there are.
        slots: ranks on each of them, 0 where none run.
    """

    argv: Tuple[str, ...]
    environment: Mapping[str, str]
    replicas: int
    slots: int


def started(built: Mapping[str, Any]) -> Dict[str, Started]:
    """``launcher`` and ``worker`` of an MPIJob, ``pod`` of a Pod or Job.

    Args:
        built: an object of a manifest that bertkit made.
    """
    spec = built["spec"]
    if built["kind"] == "MPIJob":
        replicas = spec["mpiReplicaSpecs"]
        slots = spec["slotsPerWorker"]
        return {
            "launcher": _of(replicas["Launcher"]["template"]["spec"], 1, 0),
            "worker": _of(
                replicas["Worker"]["template"]["spec"], replicas["Worker"]["replicas"], slots
            ),
        }
    pod = spec["template"]["spec"] if built["kind"] == "Job" else spec
    return {"pod": _of(pod, spec.get("completions", 1), 0)}


def _of(pod: Mapping[str, Any], replicas: int, slots: int) -> Started:
    container = pod["containers"][0]
    return Started(
        argv=tuple(_plain(word) for word in container.get("command", _V1_WORKER)),
        environment={entry["name"]: _plain(entry["value"]) for entry in container["env"]},
        replicas=replicas,
        slots=slots,
    )


def _plain(text: str) -> str:
    """*text* after Kubernetes has taken the escapes of ``$(`` out."""
    return text.replace("$$(", "$(")

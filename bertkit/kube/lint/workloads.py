"""The pods that a document would make, whatever its kind, and where they stand in it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Dict, Iterator, List, Mapping, Optional, Tuple

from bertkit.kube.lint.findings import Finding
from bertkit.strict_yaml import Document, Place

#: kind -> where its pod template's spec is
_POD_SPECS: Mapping[str, Place] = {
    "Pod": ("spec",),
    "Job": ("spec", "template", "spec"),
    "CronJob": ("spec", "jobTemplate", "spec", "template", "spec"),
    "Deployment": ("spec", "template", "spec"),
    "StatefulSet": ("spec", "template", "spec"),
    "DaemonSet": ("spec", "template", "spec"),
    "ReplicaSet": ("spec", "template", "spec"),
}


class Node:
    """A value in a document, its place, and its children; whatever is not there is empty."""

    def __init__(self, document: Located, value: Any, place: Place) -> None:
        self.document = document
        self.value = value
        self.place = place

    def __getitem__(self, key: object) -> Node:
        below: Any = None
        if isinstance(self.value, dict):
            below = self.value.get(key)
        elif isinstance(self.value, list) and isinstance(key, int) and key < len(self.value):
            below = self.value[key]
        return Node(self.document, below, (*self.place, key))  # type: ignore[arg-type]

    def __bool__(self) -> bool:
        return self.value is not None

    def at(self, *keys: object) -> Node:
        """The value below several keys."""
        node = self
        for key in keys:
            node = node[key]
        return node

    def entries(self) -> List[Node]:
        """The entries of a list."""
        count = len(self.value) if isinstance(self.value, list) else 0
        return [self[index] for index in range(count)]

    def names(self) -> List[str]:
        """The keys of a mapping."""
        return list(self.value) if isinstance(self.value, dict) else []

    def text(self) -> str:
        """The value if it is one text, number or truth; else empty."""
        return str(self.value) if isinstance(self.value, (str, int, float)) else ""

    def number(self) -> Optional[int]:
        """The value if it is a whole number, or a text of one."""
        if isinstance(self.value, bool) or not isinstance(self.value, (int, str)):
            return None
        return int(self.value) if re.fullmatch(r"-?[0-9]{1,9}", str(self.value)) else None

    def finding(
        self,
        rule: str,
        level: str,
        what: str,
        *,
        why: str,
        instead: str,
        line: Optional[int] = None,
    ) -> Finding:
        """A finding about this value, or, if it is not there, about what it is missing from."""
        from bertkit.config.schema import written

        if line is None:
            place = self.place
            while place and place not in self.document.lines:
                place = place[:-1]
            line = self.document.lines.get(place)
        return Finding(
            rule, level, self.document.number, written(self.place), line, what, why, instead
        )


@dataclass(frozen=True)
class Located:
    """A document and its number in the file."""

    number: int
    value: Any
    lines: Mapping[Place, int]

    def root(self) -> Node:
        """The whole document."""
        return Node(self, self.value, ())


@dataclass(frozen=True)
class Pod:
    """One pod template.

    Attributes:
        role: ``pod``, ``launcher`` or ``worker``.
        spec: its PodSpec.
        replicas: how many of it.
    """

    role: str
    spec: Node
    replicas: int = 1

    def containers(self) -> List[Node]:
        """Its containers, those of the set-up first."""
        return [*self.spec["initContainers"].entries(), *self.spec["containers"].entries()]

    def hpus(self) -> int:
        """HPUs of one such pod."""
        from bertkit.kube.pods import HPU

        found = 0
        for container in self.containers():
            limits, requests = (
                container.at("resources", "limits", HPU),
                container.at("resources", "requests", HPU),
            )
            found += limits.number() or requests.number() or 0
        return found


@dataclass(frozen=True)
class Workload:
    """A document that makes pods.

    Attributes:
        root: the document.
        kind, name: its own.
        pods: its templates.
    """

    root: Node
    kind: str
    name: str
    pods: Tuple[Pod, ...]

    @property
    def is_mpi(self) -> bool:
        """Whether it is an MPIJob."""
        return self.kind == "MPIJob"

    def pod(self, role: str) -> Optional[Pod]:
        """The template of that role."""
        return next((pod for pod in self.pods if pod.role == role), None)

    @property
    def slots(self) -> int:
        """Slots of each worker of an MPIJob."""
        number = self.root.at("spec", "slotsPerWorker").number()
        return 1 if number is None else number

    @property
    def ranks(self) -> Optional[int]:
        """Ranks that its cards make: cards of a pod, or slots of all workers; None if none."""
        if self.is_mpi:
            worker = self.pod("worker")
            return self.slots * worker.replicas if worker else None
        return (self.pods[0].hpus() or None) if self.pods else None


def located(documents: List[Any]) -> List[Located]:
    """Documents with numbers; plain objects have no lines."""
    found = []
    for number, document in enumerate(documents, start=1):
        if isinstance(document, Document):
            found.append(Located(number, document.value, document.lines))
        else:
            found.append(Located(number, document, {}))
    return found


def workloads(documents: List[Located]) -> Iterator[Workload]:
    """Those of *documents* that make pods; the entries of a List one by one."""
    for document in documents:
        roots = [document.root()]
        if roots[0]["kind"].text() == "List":
            roots = roots[0]["items"].entries()
        for root in roots:
            kind = root["kind"].text()
            name = root.at("metadata", "name").text()
            if kind == "MPIJob":
                yield Workload(root, kind, name, tuple(_replicas(root)))
            elif kind in _POD_SPECS:
                yield Workload(root, kind, name, (Pod("pod", root.at(*_POD_SPECS[kind])),))


def _replicas(root: Node) -> Iterator[Pod]:
    specs = root.at("spec", "mpiReplicaSpecs")
    for key in ("Launcher", "Worker"):
        replica = specs[key]
        if replica:
            count = replica["replicas"].number()
            spec = replica.at("template", "spec")
            yield Pod(key.lower(), spec, 1 if count is None else count)


def environment(container: Node) -> Dict[str, Node]:
    """name -> its entry, of a container's variables."""
    return {entry["name"].text(): entry for entry in container["env"].entries()}

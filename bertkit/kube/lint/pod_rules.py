"""Rules on one pod: its amounts, its storage, and secrets among its variables."""

from __future__ import annotations

import re
from typing import Iterator, List, Optional

from bertkit.kube import quantities
from bertkit.kube.lint.findings import ERROR, WARNING, Finding
from bertkit.kube.lint.workloads import Node, Pod, Workload, environment
from bertkit.kube.pods import HPU, HUGEPAGES

_SECRET_NAME = re.compile(
    r"TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY", re.IGNORECASE
)
_SECRET_TEXT = re.compile(
    r"\b(ghp|gho|github_pat|glpat|hf|xox[abp])[-_][A-Za-z0-9_-]{16,}"
    r"|\bAKIA[0-9A-Z]{16}\b|-----BEGIN [A-Z ]*PRIVATE KEY|://[^/\s:@]+:[^/\s:@$]+@"
)
_ASSIGNED = re.compile(
    r"\b([A-Za-z_]{0,40}(?:TOKEN|SECRET|PASSWORD|PASSWD|API_?KEY)[A-Za-z_]{0,40})="
    r"[\"']?([^\s\"';$]{6,})",
    re.IGNORECASE,
)


def check(workload: Workload, pod: Pod) -> List[Finding]:
    """Rules on one pod template of *workload*."""
    found: List[Finding] = []
    if not pod.spec["containers"].entries():
        found.append(
            pod.spec["containers"].finding(
                "containers",
                ERROR,
                "no containers",
                why="there is nothing to run",
                instead="spec: {containers: [...]}",
            )  # fmt: skip
        )
    for container in pod.containers():
        found += _amounts(container)
        found += _secrets(container)
    return [*found, *_volumes(pod), *_unlimited(pod)]


def _amounts(container: Node) -> Iterator[Finding]:
    limits = container.at("resources", "limits")
    requests = container.at("resources", "requests")
    for name in (HPU, HUGEPAGES):
        limit, request = limits[name], requests[name]
        if request and not limit:
            yield request.finding(
                "requests-equal-limits", ERROR, f"{name} has a request and no limit",
                why="the API server refuses that for what cannot be shared",
                instead=f"the same {name} in limits and requests",
            )  # fmt: skip
        elif request and quantities.value(request.value) != quantities.value(limit.value):
            yield request.finding(
                "requests-equal-limits", ERROR,
                f"{name}: request {request.text()}, limit {limit.text()}",
                why="they must be equal, the API server refuses anything else",
                instead=f"{name}: {limit.text()} in both",
            )  # fmt: skip
    for name in sorted({*limits.names(), *requests.names()}):
        for node in (limits[name], requests[name]):
            if node and quantities.value(node.value) is None:
                yield node.finding(
                    "quantity", ERROR, f"{name}: {node.text()[:40]!r} is no quantity",
                    why="it is a number and a unit such as m, G or Gi", instead="64G, 95000Mi, 6",
                )  # fmt: skip
    if limits[HPU] and not limits[HUGEPAGES]:
        yield limits.finding(
            "hugepages", WARNING, "HPUs without hugepages",
            why="SynapseAI takes its buffers from them and fails when there are none",
            instead=f"{HUGEPAGES}: 95000Mi in limits and requests",
        )  # fmt: skip


def _unlimited(pod: Pod) -> Iterator[Finding]:
    if not pod.hpus():
        return
    for container in pod.spec["containers"].entries():
        if not container.at("resources", "limits", "memory"):
            yield container["resources"].finding(
                "memory", WARNING, "no limit on memory",
                why="a pod without one is the first to be evicted when the node runs short",
                instead="memory in limits and requests",
            )  # fmt: skip


def _secrets(container: Node) -> Iterator[Finding]:
    instead = "valueFrom: {secretKeyRef: {name: ..., key: ...}}"
    why = "manifests are kept, copied and shown by `kubectl describe`"
    for name, entry in environment(container).items():
        text = entry["value"].text()
        if text and (_SECRET_NAME.search(name) or _SECRET_TEXT.search(text)):
            yield entry["value"].finding(
                "no-secret", ERROR, f"the variable {name} holds a secret in clear text",
                why=why, instead=instead,
            )  # fmt: skip
    for word in [*container["command"].entries(), *container["args"].entries()]:
        shown = _secret_in(word.text())
        if shown is not None:
            yield word.finding(
                "no-secret", ERROR, f"{shown} stands in the command in clear text",
                why=why, instead=f"a variable with {instead}",
            )  # fmt: skip


def _secret_in(text: str) -> Optional[str]:
    """What kind of secret *text* holds, without saying it."""
    assigned = _ASSIGNED.search(text)
    if assigned:
        return f"the value of {assigned.group(1)}"
    return "a password or token" if _SECRET_TEXT.search(text) else None


def _volumes(pod: Pod) -> Iterator[Finding]:
    names = {volume["name"].text() for volume in pod.spec["volumes"].entries()}
    for container in pod.containers():
        for mount in container["volumeMounts"].entries():
            if mount["name"].text() not in names:
                yield mount["name"].finding(
                    "volumes", ERROR, f"no volume is called {mount['name'].text()!r}",
                    why=f"there are: {', '.join(sorted(names)) or 'none'}",
                    instead="a volume of that name, or another name",
                )  # fmt: skip
    for volume in pod.spec["volumes"].entries():
        host_path = volume["hostPath"]
        if host_path and not host_path["type"]:
            yield host_path.finding(
                "volumes", WARNING, f"hostPath {host_path['path'].text()} has no type",
                why="where the path is not there, an empty directory is made on that node",
                instead="type: Directory",
            )  # fmt: skip

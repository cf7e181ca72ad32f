"""Rules on a whole document: its name, its policies, launcher and workers together."""

from __future__ import annotations

import re
from typing import Dict, Iterator, List, Tuple

from bertkit.devices.machine import CARDS_PER_SERVER
from bertkit.kube import names
from bertkit.kube.lint.findings import ERROR, WARNING, Finding
from bertkit.kube.lint.workloads import Located, Node, Pod, Workload

_LEFTOVER = re.compile(r"your[-_]?user(name)?|<[a-z _-]+>|CHANGE[-_ ]?ME", re.IGNORECASE)


def document(located: Located) -> List[Finding]:
    """Rules on any document, whatever its kind."""
    root = located.root()
    found = []
    if not root["kind"].text() or not root["apiVersion"].text():
        found.append(
            root.finding(
                "is-an-object",
                ERROR,
                "this document is no Kubernetes object",
                why="it has no apiVersion and kind",
                instead="apiVersion: v1 and kind: Pod, say",
            )  # fmt: skip
        )
        return found
    if root["kind"].text() == "Secret":
        found.append(
            root["kind"].finding(
                "no-secret",
                ERROR,
                "a Secret stands in this file in clear text",
                why="files like this one are kept, copied and sent around; base64 hides nothing",
                instead="make it once with `kubectl create secret`, and name it here",
            )  # fmt: skip
        )
    leftover = next(_leftovers(root), None)
    if leftover is not None:
        node, text = leftover
        found.append(
            node.finding(
                "filled-in",
                ERROR,
                f"{text} was never filled in",
                why="the path, name or namespace is not yours",
                instead="your own; `bertkit manifest ... --user NAME` writes it everywhere",
            )  # fmt: skip
        )
    return found


def check(workload: Workload) -> List[Finding]:
    """Rules on a document that makes pods."""
    return [*_name(workload), *_policies(workload), *(_mpi(workload) if workload.is_mpi else [])]


def _leftovers(node: Node) -> Iterator[Tuple[Node, str]]:
    if isinstance(node.value, str):
        match = _LEFTOVER.search(node.value)
        if match:
            yield node, match.group()
    for child in node.entries():
        yield from _leftovers(child)
    for key in node.names():
        yield from _leftovers(node[key])


def _name(workload: Workload) -> Iterator[Finding]:
    node = workload.root.at("metadata", "name")
    if not node:
        if not workload.root.at("metadata", "generateName"):
            yield node.finding(
                "name", ERROR, "it has no name", why="nothing can be asked about it",
                instead="metadata: {name: ...}",
            )  # fmt: skip
        return
    worker = workload.pod("worker")
    why = names.trouble(node.text(), workers=worker.replicas if worker else 0)
    if why is not None and not _LEFTOVER.search(node.text()):
        yield node.finding(
            "name", ERROR, "this name cannot be used", why=why,
            instead="a short name of small letters, digits and hyphens",
        )  # fmt: skip


def _policies(workload: Workload) -> Iterator[Finding]:
    root, spec = workload.root, workload.root["spec"]
    if workload.is_mpi:
        places = [spec.at("runPolicy", "cleanPodPolicy"), spec["cleanPodPolicy"]]
        if not any(places):
            yield places[0].finding(
                "clean-up", ERROR, "cleanPodPolicy is not said",
                why="the operator then takes None: workers keep their cards when the job has ended",
                instead="runPolicy: {cleanPodPolicy: Running}",
            )  # fmt: skip
        for node in places:
            if node.text() == "None":
                yield node.finding(
                    "clean-up", ERROR, "cleanPodPolicy: None keeps the workers and their cards",
                    why="they run on when the launcher has ended", instead="Running",
                )  # fmt: skip
        for key in ("Launcher", "Worker"):
            replica = spec.at("mpiReplicaSpecs", key)
            if replica and not replica["restartPolicy"]:
                yield replica["restartPolicy"].finding(
                    "restart", WARNING, f"{key}: restartPolicy is not said",
                    why="what the operator takes then differs between its versions; a launcher "
                    "that is started again and again hides why it failed",
                    instead="restartPolicy: Never",
                )  # fmt: skip
        return
    for pod in workload.pods:
        policy = pod.spec["restartPolicy"]
        if workload.kind in ("Pod", "Job") and policy.text() not in ("Never", "OnFailure"):
            said = f"is {policy.text()}" if policy else "is not said, and Always is meant"
            yield policy.finding(
                "restart", ERROR, f"restartPolicy {said}",
                why="training that has ended, or failed, is started again, for ever",
                instead="restartPolicy: Never",
            )  # fmt: skip
    if workload.kind == "Job" and not spec["backoffLimit"]:
        yield spec["backoffLimit"].finding(
            "restart", WARNING, "backoffLimit is not said",
            why="a job that fails is then tried 6 times more", instead="backoffLimit: 0",
        )  # fmt: skip
    if workload.kind in ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"):
        yield root["kind"].finding(
            "restart", ERROR, f"a {workload.kind} starts what has ended again",
            why="training ends, and should stay ended", instead="a Job, a Pod or an MPIJob",
        )  # fmt: skip


def _mpi(workload: Workload) -> Iterator[Finding]:
    specs = workload.root.at("spec", "mpiReplicaSpecs")
    launcher, worker = workload.pod("launcher"), workload.pod("worker")
    for role, pod in (("Launcher", launcher), ("Worker", worker)):
        if pod is None:
            yield specs[role].finding(
                "replicas", ERROR, f"an MPIJob without {role}",
                why="the API server takes it, the operator does not", instead=f"add a {role}",
            )  # fmt: skip
    if launcher is not None and launcher.replicas != 1:
        yield specs.at("Launcher", "replicas").finding(
            "replicas", ERROR, f"{launcher.replicas} launchers", why="there can be one only",
            instead="replicas: 1",
        )  # fmt: skip
    if launcher is not None and launcher.hpus():
        yield launcher.spec["containers"].finding(
            "launcher-without-hpus", ERROR, f"the launcher holds {launcher.hpus()} HPUs",
            why="it starts the ranks and computes nothing: the cards stand idle",
            instead="take habana.ai/gaudi out of the launcher's resources",
        )  # fmt: skip
    for node, count in (
        (workload.root.at("spec", "slotsPerWorker"), workload.slots),
        (specs.at("Worker", "replicas"), worker.replicas if worker else 1),
    ):
        if count < 1:
            yield node.finding(
                "replicas", ERROR, f"{count} where at least one is wanted",
                why="there would be no ranks", instead="1 or more",
            )  # fmt: skip
    if worker is not None:
        yield from _slots(workload, worker)
        if launcher is not None:
            yield from _same_storage(launcher, worker)


def _slots(workload: Workload, worker: Pod) -> Iterator[Finding]:
    node, hpus = workload.root.at("spec", "slotsPerWorker"), worker.hpus()
    if hpus and hpus != workload.slots:
        said = "" if node else ", which is what is meant when nothing is said"
        yield node.finding(
            "hpus-equal-slots", ERROR,
            f"{workload.slots} slots for {hpus} HPUs of each worker{said}",
            why="the operator writes the slots into the hostfile: one rank for each card",
            instead=f"slotsPerWorker: {hpus}",
        )  # fmt: skip
    if hpus > CARDS_PER_SERVER:
        yield worker.spec["containers"].finding(
            "hpus-equal-slots", ERROR, f"{hpus} HPUs for one worker",
            why=f"a node has {CARDS_PER_SERVER}", instead="more workers",
        )  # fmt: skip


def _same_storage(launcher: Pod, worker: Pod) -> Iterator[Finding]:
    ours, theirs = _mounts(launcher), _mounts(worker)
    for words, node, missing in (
        ("the launcher lacks", launcher.spec["volumes"], theirs.keys() - ours.keys()),
        ("the workers lack", worker.spec["volumes"], ours.keys() - theirs.keys()),
    ):
        if missing:
            yield node.finding(
                "same-volumes", ERROR, f"{words} {', '.join(sorted(missing))}",
                why="launcher and workers read and write the same data, repository and results",
                instead="the same volumes and volumeMounts in both",
            )  # fmt: skip
    for mount in sorted(ours.keys() & theirs.keys()):
        if ours[mount] != theirs[mount]:
            yield worker.spec["volumes"].finding(
                "same-volumes", ERROR,
                f"{mount} is {theirs[mount]} in the workers, {ours[mount]} in the launcher",
                why="launcher and workers read and write the same data, repository and results",
                instead="the same volume in both",
            )  # fmt: skip


def _mounts(pod: Pod) -> Dict[str, str]:
    """mount -> what it is, of a pod's main container; scratch space is each pod's own."""
    volumes = {volume["name"].text(): volume for volume in pod.spec["volumes"].entries()}
    found = {}
    for mount in pod.spec["containers"][0]["volumeMounts"].entries():
        volume = volumes.get(mount["name"].text())
        source = "nothing"
        if volume is not None:
            kind = next((key for key in volume.names() if key != "name"), "nothing")
            where = volume.at(kind, "path") or volume.at(kind, "claimName")
            source = " ".join(filter(None, (kind, where.text().rstrip("/"))))
        found[mount["mountPath"].text().rstrip("/")] = source
    return found

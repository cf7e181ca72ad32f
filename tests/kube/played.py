"""The operator's, the kubelet's and the garbage collector's parts, played on a real API server."""

from __future__ import annotations

import contextlib
import threading
from datetime import datetime, timezone
from typing import Any, Dict, List, Optional

from tests.kube.apiserver import ApiServer, Refused

Object = Dict[str, Any]


def now() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def container(name: str = "bertkit", **more: Any) -> Object:
    limits = {"memory": "64Gi", "cpu": "6"}
    return {"name": name, "image": "registry.example/bertkit:1.13.0",
            "command": ["bertkit", "train"],
            "resources": {"limits": limits, "requests": dict(limits)}, **more}  # fmt: skip


def mpijob(name: str, version: str, workers: int = 2) -> Object:
    """A small MPIJob that nothing is wrong with."""

    def replica(role: str, count: int) -> Object:
        return {
            "replicas": count,
            "restartPolicy": "Never",
            "template": {"spec": {"containers": [container(role, command=["sleep", "9"])]}},
        }

    policy = {"cleanPodPolicy": "Running"}
    return {
        "apiVersion": f"kubeflow.org/{version}",
        "kind": "MPIJob",
        "metadata": {"name": name},
        "spec": {
            "slotsPerWorker": 1,
            **({"runPolicy": policy} if version == "v2beta1" else policy),
            "mpiReplicaSpecs": {
                "Launcher": replica("launcher", 1), "Worker": replica("worker", workers)
            },
        },
    }  # fmt: skip


class Played:
    """One namespace of a server, in which the rest of a cluster is played."""

    def __init__(self, server: ApiServer, namespace: str) -> None:
        self.server = server
        self.namespace = namespace
        self.pods = f"/api/v1/namespaces/{namespace}/pods"
        group = f"/apis/kubeflow.org/{server.version}"
        self.mpijobs = f"{group}/namespaces/{namespace}/mpijobs"
        self.jobs = f"/apis/batch/v1/namespaces/{namespace}/jobs"

    # The user, past bertkit.

    def make(self, name: str = "bert", workers: int = 2) -> Object:
        body = mpijob(name, self.server.version, workers)
        made: Object = self.server.ask("POST", self.mpijobs, body)
        return made

    # The operator.

    def starts(self, job: Object) -> None:
        """Make the pods of an MPIJob, as the operator of its version does."""
        name = job["metadata"]["name"]
        specs = job["spec"]["mpiReplicaSpecs"]
        is_v1 = self.server.version == "v1"
        self.conditions(job, Created="True")
        for number in range(specs["Worker"]["replicas"]):
            self._pod(
                f"{name}-worker-{number}", specs["Worker"]["template"]["spec"],
                self._labels(name, "worker"), self._owner("MPIJob", job),
            )  # fmt: skip
        owner, launcher = self._owner("MPIJob", job), f"{name}-launcher"
        if not is_v1:  # a Job stands between
            spec = {**specs["Launcher"]["template"]["spec"], "restartPolicy": "Never"}
            between = self.server.ask("POST", self.jobs, {
                "metadata": {"name": launcher, "ownerReferences": [owner]},
                "spec": {"template": {"spec": spec}},
            })  # fmt: skip
            owner, launcher = self._owner("Job", between), f"{launcher}-x7k2p"
        template = specs["Launcher"]["template"]["spec"]
        self._pod(launcher, template, self._labels(name, "launcher"), owner)

    def launcher(self, name: str = "bert") -> str:
        return f"{name}-launcher" + ("" if self.server.version == "v1" else "-x7k2p")

    def conditions(self, job: Object, message: str = "so it is", **states: str) -> None:
        """Set the conditions of an MPIJob, in this order."""
        conditions = [
            {"type": kind, "status": state, "reason": f"MPIJob{kind}", "message": message,
             "lastTransitionTime": now(), "lastUpdateTime": now()}
            for kind, state in states.items()
        ]  # fmt: skip
        status = {"conditions": conditions, "replicaStatuses": {"Launcher": {}, "Worker": {}}}
        path = f"{self.mpijobs}/{job['metadata']['name']}/status"
        self.server.ask("PATCH", path, {"status": {"startTime": now(), **status}})

    def succeeds(self, job: Object) -> None:
        """The launcher ends well, then the job has succeeded, then running workers are deleted."""
        name = job["metadata"]["name"]
        self.ends(self.launcher(name), 0)
        self.conditions(job, Created="True", Running="False", Succeeded="True")
        self.cleans_up(job)

    def fails(self, job: Object, code: int, **how: Any) -> None:
        """The launcher ends with *code*, then the job has failed."""
        self.ends(self.launcher(job["metadata"]["name"]), code, **how)
        self.conditions(
            job, "the launcher has failed", Created="True", Running="False", Failed="True"
        )

    def cleans_up(self, job: Object) -> None:
        for number in range(job["spec"]["mpiReplicaSpecs"]["Worker"]["replicas"]):
            self.delete_pod(f"{job['metadata']['name']}-worker-{number}")

    # The kubelet and the scheduler.

    def binds(self, pod: str, node: str = "node-1") -> None:
        body = {"metadata": {"name": pod}, "target": {"kind": "Node", "name": node}}
        self.server.ask("POST", f"{self.pods}/{pod}/binding", body)

    def runs(self, pod: str, node: str = "node-1", ready: bool = True) -> None:
        with contextlib.suppress(Refused):  # it has a node already
            self.binds(pod, node)
        state = {"running": {"startedAt": now()}}
        self.status(pod, phase="Running", containers=state, Ready="True" if ready else "False")

    def ends(self, pod: str, code: int, reason: Optional[str] = None, **more: Any) -> None:
        reason = reason or ("Error" if code else "Completed")
        state = {"terminated": {"exitCode": code, "reason": reason, "finishedAt": now()}}
        phase = "Failed" if code else "Succeeded"
        self.status(pod, phase=phase, containers=state, Ready="False", **more)

    def waits(self, pod: str, reason: str, message: str) -> None:
        state = {"waiting": {"reason": reason, "message": message}}
        self.status(pod, phase="Pending", containers=state, PodScheduled="True")

    def unschedulable(self, pod: str, message: str) -> None:
        condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
                     "message": message}  # fmt: skip
        self._patch(pod, {"phase": "Pending", "conditions": [condition]})

    def evicted(self, pod: str, message: str) -> None:
        self._patch(pod, {"phase": "Failed", "reason": "Evicted", "message": message})

    def status(
        self, pod: str, *, phase: str, containers: Object, restarts: int = 0,
        last: Optional[Object] = None, **conditions: str,
    ) -> None:  # fmt: skip
        spec = self.server.ask("GET", f"{self.pods}/{pod}")["spec"]
        states = [
            {"name": each["name"], "image": each["image"], "imageID": "", "ready": False,
             "restartCount": restarts, "state": containers, "lastState": last or {}}
            for each in spec["containers"]
        ]  # fmt: skip
        listed = [{"type": kind, "status": state} for kind, state in conditions.items()]
        self._patch(pod, {"phase": phase, "conditions": listed, "containerStatuses": states})

    def event(self, pod: str, reason: str, message: str) -> None:
        about = self.server.ask("GET", f"{self.pods}/{pod}")
        self.event_about("Pod", about, reason, message)

    def event_about(self, kind: str, thing: Object, reason: str, message: str) -> None:
        named = thing["metadata"]
        involved = {"kind": kind, "name": named["name"], "namespace": self.namespace,
                    "uid": named["uid"]}  # fmt: skip
        self.server.ask("POST", f"/api/v1/namespaces/{self.namespace}/events", {
            "metadata": {"generateName": "event-"}, "involvedObject": involved, "type": "Warning",
            "reason": reason, "message": message, "lastTimestamp": now(), "count": 1,
        })  # fmt: skip

    # The garbage collector, and the end of pods.

    def delete_pod(self, name: str) -> None:
        with contextlib.suppress(Refused):
            self.server.ask("DELETE", f"{self.pods}/{name}", {"gracePeriodSeconds": 0})

    def collect(self) -> None:
        """Delete what belongs to objects that are there no more."""
        here = {
            each["metadata"]["uid"]
            for path in (self.mpijobs, self.jobs)
            for each in self.server.ask("GET", path)["items"]
        }
        for path in (self.jobs, self.pods):
            for each in self.server.ask("GET", path)["items"]:
                owners = each["metadata"].get("ownerReferences") or []
                if owners and not any(owner["uid"] in here for owner in owners):
                    here.discard(each["metadata"]["uid"])
                    with contextlib.suppress(Refused):
                        self.server.ask(
                            "DELETE", f"{path}/{each['metadata']['name']}",
                            {"gracePeriodSeconds": 0, "propagationPolicy": "Background"},
                        )  # fmt: skip

    @contextlib.contextmanager
    def collecting(self) -> Any:
        """Collect again and again for the length of the block."""
        stop = threading.Event()

        def run() -> None:
            while not stop.wait(0.1):
                self.collect()

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def names(self, path: str) -> List[str]:
        return sorted(each["metadata"]["name"] for each in self.server.ask("GET", path)["items"])

    def _patch(self, pod: str, status: Object) -> None:
        self.server.ask("PATCH", f"{self.pods}/{pod}/status", {"status": status})

    def _pod(self, name: str, spec: Object, labels: Object, owner: Object) -> None:
        metadata = {"name": name, "labels": labels, "ownerReferences": [owner]}
        spec = {**spec, "restartPolicy": "Never", "terminationGracePeriodSeconds": 0}
        self.server.ask("POST", self.pods, {"metadata": metadata, "spec": spec})

    def _labels(self, name: str, role: str) -> Object:
        if self.server.version == "v1":
            return {"mpi-job-name": name, "mpi-job-role": role}
        return {
            "training.kubeflow.org/job-name": name,
            "training.kubeflow.org/job-role": role,
        }

    def _owner(self, kind: str, thing: Object) -> Object:
        api = "batch/v1" if kind == "Job" else f"kubeflow.org/{self.server.version}"
        named = thing["metadata"]
        return {"apiVersion": api, "kind": kind, "name": named["name"], "uid": named["uid"],
                "controller": True}  # fmt: skip

"""MPIJobs of Kubeflow's MPI operator, in its versions v2beta1 and v1."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Sequence

from bertkit.config import Settings
from bertkit.errors import UsageProblem
from bertkit.kube import pods
from bertkit.kube.work import Work

API_GROUP = "kubeflow.org"

#: What the operator starts in a v2beta1 worker that says nothing; said all the same, so that an
#: image's own entry point cannot get in the way. It listens on port 22, where the launcher looks.
SSHD = ("/usr/sbin/sshd", "-De")


def spec(
    work: Work, settings: Settings, command: Sequence[str], labels: Mapping[str, str]
) -> Dict[str, Any]:
    """The ``spec`` of an MPIJob whose launcher runs *command*.

    The launcher has no HPUs and the same storage as the workers: bertkit plans there, and reads
    and writes what its ranks read and write.

    Raises:
        UsageProblem: the settings ask the operator for what its version has not.
    """
    is_v1 = settings.mpijob_version == "v1"
    launcher = pods.container(
        "launcher", settings, command=command, amounts=settings.resources["launcher"]
    )
    worker = pods.container(
        "worker",
        settings,
        # With v1 ranks come by `kubectl exec`: the operator lets workers sleep.
        command=None if is_v1 else SSHD,
        amounts=pods.amounts_of(work, settings),
        hpus=work.hpus,
    )
    replicas = {
        "Launcher": {
            "replicas": 1,
            "restartPolicy": "Never",
            "template": pods.template(work, settings, launcher, hpus=0, labels=dict(labels)),
        },
        "Worker": {
            "replicas": work.nodes,
            "restartPolicy": "Never",
            "template": pods.template(work, settings, worker, hpus=work.hpus, labels=dict(labels)),
        },
    }
    policy = {
        "cleanPodPolicy": "Running",
        "ttlSecondsAfterFinished": settings.keep_seconds,
        "backoffLimit": 0,
    }
    built: Dict[str, Any] = {"slotsPerWorker": work.cards}
    if is_v1:
        if settings.operator_features:
            raise UsageProblem(
                f"MPIJob v1 knows no {settings.operator_features[0]}",
                where="operator_features",
                next_step="take --mpijob-version v2beta1, or leave operator_features out",
            )
        built["cleanPodPolicy"] = policy["cleanPodPolicy"]
    else:
        if settings.ssh_auth_mount_path:
            built["sshAuthMountPath"] = settings.ssh_auth_mount_path
        if "wait-for-workers" in settings.operator_features:
            built["launcherCreationPolicy"] = "WaitForWorkersReady"
    return {**built, "runPolicy": policy, "mpiReplicaSpecs": replicas}

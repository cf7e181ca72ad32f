"""A resource definition of MPIJobs with the fields that bertkit uses, and no others.

It is written for these tests: what it does not know is dropped by the server, so that a field in
the wrong place is noticed. The operator's own definition takes its place where
``BERTKIT_MPIJOB_CRDS`` names a folder with it.
"""

from __future__ import annotations

from typing import Any, Dict

_Schema = Dict[str, Any]


def _object(**properties: _Schema) -> _Schema:
    return {"type": "object", "properties": properties}


_STRING: _Schema = {"type": "string"}
_COUNT: _Schema = {"type": "integer", "format": "int32", "minimum": 0}
_FLAG: _Schema = {"type": "boolean"}
_TIME: _Schema = {"type": "string", "format": "date-time"}
# Pod templates are looked at by the server's own schema of pods: see the dry runs.
_TEMPLATE: _Schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}

_CLEAN = {"type": "string", "enum": ["None", "Running", "All"]}
_RESTART = {"type": "string", "enum": ["Never", "OnFailure", "Always", "ExitCode"]}
_REPLICAS = {
    "type": "object",
    "additionalProperties": _object(
        replicas=_COUNT,
        restartPolicy=_RESTART,
        template=_TEMPLATE,
    ),
}
_RUN_POLICY = _object(
    cleanPodPolicy=_CLEAN,
    ttlSecondsAfterFinished=_COUNT,
    activeDeadlineSeconds=_COUNT,
    backoffLimit=_COUNT,
    suspend=_FLAG,
)
_CONDITION = {
    **_object(
        type=_STRING,
        status={"type": "string", "enum": ["True", "False", "Unknown"]},
        reason=_STRING,
        message=_STRING,
        lastUpdateTime=_TIME,
        lastTransitionTime=_TIME,
    ),
    "required": ["type", "status"],
}
_STATUS = _object(
    conditions={"type": "array", "items": _CONDITION},
    replicaStatuses={
        "type": "object",
        "additionalProperties": _object(active=_COUNT, succeeded=_COUNT, failed=_COUNT),
    },
    startTime=_TIME,
    completionTime=_TIME,
    lastReconcileTime=_TIME,
)
_SPEC = {
    "v1": _object(
        slotsPerWorker=_COUNT,
        cleanPodPolicy=_CLEAN,
        mainContainer=_STRING,
        runPolicy=_RUN_POLICY,
        mpiReplicaSpecs=_REPLICAS,
    ),
    "v2beta1": _object(
        slotsPerWorker=_COUNT,
        sshAuthMountPath=_STRING,
        mpiImplementation=_STRING,
        launcherCreationPolicy=_STRING,
        runLauncherAsWorker=_FLAG,
        runPolicy=_RUN_POLICY,
        mpiReplicaSpecs=_REPLICAS,
    ),
}


def mpijob_crd(version: str) -> Dict[str, Any]:
    """The definition of MPIJobs of *version*, with a status of its own."""
    schema = _object(
        apiVersion=_STRING,
        kind=_STRING,
        metadata={"type": "object"},
        spec={**_SPEC[version], "required": ["mpiReplicaSpecs"]},
        status=_STATUS,
    )
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "mpijobs.kubeflow.org"},
        "spec": {
            "group": "kubeflow.org",
            "scope": "Namespaced",
            "names": {
                "kind": "MPIJob", "listKind": "MPIJobList", "plural": "mpijobs",
                "singular": "mpijob",
            },
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema},
                    "subresources": {"status": {}},
                }
            ],
        },
    }  # fmt: skip

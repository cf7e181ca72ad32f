"""Work and settings become a manifest: a Pod, a Job or an MPIJob, as objects and as YAML."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Tuple

from bertkit import __version__
from bertkit.config import Settings
from bertkit.errors import UsageProblem
from bertkit.kube import comments, mpijob, names, pods
from bertkit.kube.work import Work
from bertkit.kube.yaml_text import dump, heading

LABEL_PREFIX = "bertkit"
_LONGEST_LABEL = 63


@dataclass(frozen=True)
class Manifest:
    """What is submitted.

    Attributes:
        kind: ``Pod``, ``Job`` or ``MPIJob``.
        name, namespace: of the object.
        objects: the objects as plain values, in the order in which they are made; one today.
        yaml: the same with comments.
    """

    kind: str
    name: str
    namespace: str
    objects: Tuple[Dict[str, Any], ...]
    yaml: str


def render(
    work: Work, settings: Settings, *, name: Optional[str] = None, kind: Optional[str] = None
) -> Manifest:
    """The manifest of *work* at a site.

    Args:
        work: what runs.
        settings: where, and with what.
        name: of the object; default ``bertkit-JOB``.
        kind: ``job`` or ``pod`` for work that needs one pod; default: the settings'.

    Raises:
        UsageProblem: a name cannot be used, a result would be lost with its pod, or the settings
            do not fit the work.
    """
    workers = work.nodes if work.is_mpi else 0
    name = names.checked(name or f"bertkit-{work.job}", workers=workers)
    namespace = names.checked_namespace(settings.namespace)
    pods.check_storage(work, settings)
    command = [settings.program, *work.arguments]
    labels = _labels(name, work)
    if work.is_mpi:
        chosen = "MPIJob"
        version = f"{mpijob.API_GROUP}/{settings.mpijob_version}"
        spec = mpijob.spec(work, settings, command, labels)
    else:
        chosen = _one_pod_kind(work, kind or settings.kind)
        version = "batch/v1" if chosen == "Job" else "v1"
        spec = _one_pod(work, settings, command, labels, chosen)
    built = {
        "apiVersion": version,
        "kind": chosen,
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": labels,
            "annotations": {
                f"{LABEL_PREFIX}/release": settings.release,
                f"{LABEL_PREFIX}/version": __version__,
            },
        },
        "spec": spec,
    }
    top = comments.top(work, settings, chosen)
    text = heading(top) + dump(built, comments.inside(work, settings, chosen))
    return Manifest(chosen, name, namespace, (built,), text)


def _one_pod_kind(work: Work, kind: str) -> str:
    if kind == "pod" and work.shares > 1:
        raise UsageProblem(
            "shares are for a Job, not for a Pod", next_step="leave --kind pod or --indexed out"
        )
    return "Pod" if kind == "pod" else "Job"


def _one_pod(
    work: Work, settings: Settings, command: List[str], labels: Dict[str, str], kind: str
) -> Dict[str, Any]:
    env = {"BERTKIT_SHARES": str(work.shares)} if work.shares > 1 else None
    container = pods.container(
        "bertkit",
        settings,
        command=command,
        amounts=pods.amounts_of(work, settings),
        hpus=work.hpus,
        env=env,
    )
    template = pods.template(work, settings, container, hpus=work.hpus, labels=labels)
    template["spec"] = {"restartPolicy": "Never", **template["spec"]}
    if kind == "Pod":
        spec: Dict[str, Any] = template["spec"]
        return spec
    spec = {"backoffLimit": 0, "ttlSecondsAfterFinished": settings.keep_seconds}
    if work.shares > 1:
        spec.update(completionMode="Indexed", completions=work.shares, parallelism=work.shares)
    return {**spec, "template": template}


def _labels(name: str, work: Work) -> Dict[str, str]:
    return {
        "app.kubernetes.io/name": "bertkit",
        "app.kubernetes.io/instance": name,
        "app.kubernetes.io/component": work.component,
        "app.kubernetes.io/managed-by": "bertkit",
        f"{LABEL_PREFIX}/job": work.job[:_LONGEST_LABEL].rstrip("-."),
    }

"""The kinds of objects that bertkit asks a cluster about, and where the API has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Mapping, Optional

Object = Dict[str, Any]

MPI_GROUP = "kubeflow.org"


@dataclass(frozen=True)
class Kind:
    """One kind of object.

    Attributes:
        name: such as ``Pod``.
        api: group and version as manifests write them, such as ``batch/v1``.
        plural: as in paths and in the rights of users.
    """

    name: str
    api: str
    plural: str

    def path(self, namespace: str, name: Optional[str] = None, below: str = "") -> str:
        """The path of all objects of this kind, of one, or of something *below* one."""
        root = f"/apis/{self.api}" if "/" in self.api else f"/api/{self.api}"
        path = f"{root}/namespaces/{namespace}/{self.plural}"
        return path + (f"/{name}" if name else "") + (f"/{below}" if below else "")

    @property
    def where(self) -> str:
        """Plural and group, as ``kubectl`` and messages about rights write them."""
        group = self.api.partition("/")[0] if "/" in self.api else ""
        return f"{self.plural}.{group}" if group else self.plural


POD = Kind("Pod", "v1", "pods")
EVENT = Kind("Event", "v1", "events")
JOB = Kind("Job", "batch/v1", "jobs")
QUOTA = Kind("ResourceQuota", "v1", "resourcequotas")
CONFIG_MAP = Kind("ConfigMap", "v1", "configmaps")
CLAIM = Kind("PersistentVolumeClaim", "v1", "persistentvolumeclaims")


def mpijob(version: str) -> Kind:
    """MPIJobs of *version*, ``v2beta1`` or ``v1``."""
    return Kind("MPIJob", f"{MPI_GROUP}/{version}", "mpijobs")


#: What may be submitted, by kind and API; the jobs are those that can be followed.
MPIJOBS = tuple(mpijob(version) for version in ("v2beta1", "v1"))
JOBS = (*MPIJOBS, JOB, POD)
SUBMITTABLE: Mapping[object, Kind] = {
    (kind.name, kind.api): kind for kind in (*JOBS, CONFIG_MAP, CLAIM)
}


def meta(thing: Object) -> Object:
    """The metadata of an object; empty where there is none."""
    found = thing.get("metadata")
    return found if isinstance(found, dict) else {}

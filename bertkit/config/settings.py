"""The settings that jobs in a cluster need, as one object, with where each value comes from."""

from __future__ import annotations

from dataclasses import dataclass
from shlex import quote
from typing import Any, Dict, List, Mapping, Optional, Tuple

from bertkit.errors import UsageProblem


@dataclass(frozen=True)
class Volume:
    """Storage that every pod mounts; exactly one of the three kinds.

    Attributes:
        name, mount: its name in the pod, and where the containers see it.
        host_path: a directory of the node.
        claim: the name of a PersistentVolumeClaim.
        empty_dir: scratch space that goes with the pod.
        size_limit: of scratch space, or None.
        read_only: whether the containers may only read it.
    """

    name: str
    mount: str
    host_path: Optional[str] = None
    claim: Optional[str] = None
    empty_dir: bool = False
    size_limit: Optional[str] = None
    read_only: bool = False

    @property
    def lasts(self) -> bool:
        """Whether what is written here is still there when the pod is gone."""
        return not self.empty_dir and not self.read_only


@dataclass(frozen=True)
class Amounts:
    """What one container gets, in Kubernetes' units; requests equal limits but where said."""

    cpu: str
    memory: str
    hugepages: Optional[str] = None
    cpu_request: Optional[str] = None
    memory_request: Optional[str] = None


@dataclass(frozen=True)
class Settings:
    """Everything about a site and its user, resolved.

    Attributes:
        site: the profile's name.
        user: the name on the cluster, where a setting needs one.
        namespace: where jobs go.
        release: the SynapseAI release of the image.
        image: the image of that release.
        program: how bertkit is called in a container.
        install_from: bertkit's source on shared storage, or None if bertkit is in the image.
        python: the image's Python.
        repo, data, results, home: places inside the pods.
        volumes: mounted everywhere.
        resources: ``card``, ``node``, ``launcher``, ``data`` and ``small``.
        kind: ``job`` or ``pod``, for work that needs one pod.
        keep_seconds: how long a finished job stays.
        mpijob_version: ``v2beta1`` or ``v1``.
        operator_features: what the operator is asked for besides.
        others: see the schema.
        sources: where each value comes from, by its written place.
    """

    site: str
    user: Optional[str]
    namespace: str
    release: str
    image: str
    image_pull_policy: str
    image_pull_secret: Optional[str]
    service_account: Optional[str]
    node_selector: Mapping[str, str]
    hpu_node_selector: Mapping[str, str]
    mpijob_version: str
    operator_features: Tuple[str, ...]
    ssh_auth_mount_path: Optional[str]
    kind: str
    keep_seconds: int
    program: str
    install_from: Optional[str]
    python: str
    repo: str
    data: str
    results: str
    home: str
    volumes: Tuple[Volume, ...]
    resources: Mapping[str, Amounts]
    env: Mapping[str, str]
    sources: Mapping[str, str]

    def volume_of(self, path: str) -> Optional[Volume]:
        """The volume that *path* lies on inside a pod: the one with the longest mount; or None."""
        inside = [v for v in self.volumes if path == v.mount or path.startswith(v.mount + "/")]
        return max(inside, key=lambda volume: len(volume.mount)) if inside else None


def build(values: Mapping[str, Any], sources: Mapping[str, str]) -> Settings:
    """The settings of merged, filled and checked *values*.

    Raises:
        UsageProblem: something that every job needs is missing, or two settings contradict.
    """
    lacking = [key for key in ("namespace", "release", "volumes") if not values.get(key)]
    places = values.get("paths", {})
    lacking += [f"paths.{key}" for key in _PATHS if key not in places]
    amounts = values.get("resources", {})
    for key in _RESOURCES:
        lacking += [
            f"resources.{key}.{what}"
            for what in ("cpu", "memory")
            if what not in amounts.get(key, {})
        ]
    if lacking:
        raise UsageProblem(
            f"the settings lack {', '.join(lacking)}",
            where=f"site {values['site']}",
            next_step="bertkit config show    (says where each value comes from)",
        )
    pods = values["pods"]
    in_image = pods.get("in_image", False)
    return Settings(
        site=values["site"],
        user=values.get("user"),
        namespace=values["namespace"],
        release=values["release"],
        image=_image(values),
        image_pull_policy=values["image_pull_policy"],
        image_pull_secret=values.get("image_pull_secret"),
        service_account=values.get("service_account"),
        node_selector=values.get("node_selector", {}),
        hpu_node_selector=values.get("hpu_node_selector", {}),
        mpijob_version=values["mpijob_version"],
        operator_features=tuple(values.get("operator_features", ())),
        ssh_auth_mount_path=values.get("ssh_auth_mount_path"),
        kind=values["kind"],
        keep_seconds=values["keep_seconds"],
        program="bertkit" if in_image else pods["program"],
        install_from=None if in_image else pods.get("install_from"),
        python=pods["python"],
        **{key: places[key].rstrip("/") or "/" for key in _PATHS},
        volumes=_volumes(values["volumes"]),
        resources={key: Amounts(**amounts[key]) for key in _RESOURCES},
        env=values.get("env", {}),
        sources=sources,
    )


_PATHS = ("repo", "data", "results", "home")
_RESOURCES = ("card", "node", "launcher", "data", "small")


def _image(values: Mapping[str, Any]) -> str:
    if values.get("image"):
        return str(values["image"])
    images: Dict[str, str] = values.get("images", {})
    if values["release"] in images:
        return images[values["release"]]
    known = f"it names images for {', '.join(images)}" if images else "it names no image"
    raise UsageProblem(
        f"no image for release {values['release']}",
        where=f"site {values['site']}",
        why=known,
        next_step="--image REGISTRY/IMAGE:TAG, made with bertkit's Dockerfile; "
        f"`bertkit config init --site {quote(values['site'])} --image ...` keeps it; "
        "or another site: --site NAME",
    )


def _volumes(raw: List[Dict[str, Any]]) -> Tuple[Volume, ...]:
    volumes = tuple(
        Volume(**{**entry, "mount": entry["mount"].rstrip("/") or "/"}) for entry in raw
    )
    for volume in volumes:
        kinds = [volume.host_path, volume.claim, volume.empty_dir or None]
        if sum(kind is not None for kind in kinds) != 1:
            raise _contradiction(
                f"volume {volume.name}: wants exactly one of host_path, claim and empty_dir"
            )
    for what in ("name", "mount"):
        seen = [getattr(volume, what) for volume in volumes]
        twice = sorted({value for value in seen if seen.count(value) > 1})
        if twice:
            raise _contradiction(f"two volumes have the {what} {twice[0]}")
    return volumes


def _contradiction(what: str) -> UsageProblem:
    return UsageProblem(what, where="volumes", next_step="bertkit config show")

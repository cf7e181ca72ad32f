"""The parts of a pod: its containers, storage, amounts and variables."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any, Dict, List, Optional, Sequence

from bertkit.config import Amounts, Settings, Volume
from bertkit.devices.machine import CARDS_PER_SERVER
from bertkit.errors import UsageProblem
from bertkit.kube import quantities
from bertkit.kube.work import Work

HPU = "habana.ai/gaudi"
HUGEPAGES = "hugepages-2Mi"

Object = Dict[str, Any]


def template(
    work: Work, settings: Settings, container: Object, *, hpus: int, labels: Object
) -> Object:
    """A pod template around one container, with the storage that all pods of a job share."""
    spec: Object = {}
    selector = settings.hpu_node_selector if hpus else settings.node_selector
    if selector:
        spec["nodeSelector"] = dict(selector)
    if settings.service_account:
        spec["serviceAccountName"] = settings.service_account
    if settings.image_pull_secret:
        spec["imagePullSecrets"] = [{"name": settings.image_pull_secret}]
    first = _installation(work, settings, container)
    if first:
        spec["initContainers"] = first
    spec["containers"] = [container]
    spec["volumes"] = [_volume(volume) for volume in settings.volumes]
    return {"metadata": {"labels": dict(labels)}, "spec": spec}


def container(
    name: str,
    settings: Settings,
    *,
    command: Optional[Sequence[str]],
    amounts: Amounts,
    hpus: int = 0,
    env: Optional[Dict[str, str]] = None,
) -> Object:
    """One container; *command* is an argument list, or None for what the operator gives it."""
    variables = {"HOME": settings.home, **settings.env, **(env or {})}
    built: Object = {
        "name": name,
        "image": settings.image,
        "imagePullPolicy": settings.image_pull_policy,
    }
    if command is not None:
        built["command"] = [_literal(word) for word in command]
    built["env"] = [
        {"name": key, "value": _literal(value)} for key, value in sorted(variables.items())
    ]
    built["resources"] = _resources(amounts, hpus)
    built["volumeMounts"] = [_mount(volume) for volume in settings.volumes]
    return built


def amounts_of(work: Work, settings: Settings) -> Amounts:
    """What a pod that does the work itself gets: by its cards, or by the kind of work."""
    if work.cards == 0:
        return settings.resources[work.resources]
    if work.cards == 1 and work.nodes == 1:
        return _without_hugepages_on_cpu(settings.resources["card"], work)
    node = settings.resources["node"]

    def part(quantity: Optional[str]) -> Optional[str]:
        return quantity and quantities.share(quantity, work.cards, CARDS_PER_SERVER)

    cards = Amounts(
        cpu=quantities.share(node.cpu, work.cards, CARDS_PER_SERVER),
        memory=quantities.share(node.memory, work.cards, CARDS_PER_SERVER),
        hugepages=node.hugepages,
        cpu_request=part(node.cpu_request),
        memory_request=part(node.memory_request),
    )
    return _without_hugepages_on_cpu(cards, work)


def check_storage(work: Work, settings: Settings) -> None:
    """Whether what the work writes outlives its pod.

    Raises:
        UsageProblem: a path is on no volume, on scratch space, or on one that is read-only.
    """
    for path in work.needs_storage:
        volume = settings.volume_of(path)
        if volume is not None and volume.lasts:
            continue
        if volume is None:
            why = "it is in the image, not on a volume: what is written there goes with the pod"
        elif volume.read_only:
            why = f"volume {volume.name} ({volume.mount}) is read-only"
        else:
            why = f"volume {volume.name} ({volume.mount}) is scratch space that goes with the pod"
        lasting = [volume.mount for volume in settings.volumes if volume.lasts]
        raise UsageProblem(
            f"{path} cannot keep results",
            where=f"site {settings.site}",
            why=why,
            next_step=f"take a place below {' or '.join(lasting)}"
            if lasting
            else "add a volume to your settings: bertkit config show",
        )


def _literal(text: str) -> str:
    """*text* so that the container gets it as it is: Kubernetes fills in ``$(NAME)``."""
    return text.replace("$(", "$$(")


def _without_hugepages_on_cpu(amounts: Amounts, work: Work) -> Amounts:
    if work.device == "hpu":
        return amounts
    return Amounts(amounts.cpu, amounts.memory, None, amounts.cpu_request, amounts.memory_request)


def _resources(amounts: Amounts, hpus: int) -> Object:
    limits: Object = {"cpu": amounts.cpu, "memory": amounts.memory}
    if amounts.hugepages:
        limits[HUGEPAGES] = amounts.hugepages
    if hpus:
        limits[HPU] = str(hpus)
    requests = dict(limits)
    requests["cpu"] = amounts.cpu_request or amounts.cpu
    requests["memory"] = amounts.memory_request or amounts.memory
    return {"limits": limits, "requests": requests}


def _volume(volume: Volume) -> Object:
    if volume.host_path is not None:
        # Directory: a path that is not there is an error, never an empty directory on one node.
        source: Object = {"hostPath": {"path": volume.host_path, "type": "Directory"}}
    elif volume.claim is not None:
        source = {"persistentVolumeClaim": {"claimName": volume.claim}}
    else:
        limit = {"sizeLimit": volume.size_limit} if volume.size_limit else {}
        source = {"emptyDir": limit}
    return {"name": volume.name, **source}


def _mount(volume: Volume) -> Object:
    mount: Object = {"name": volume.name, "mountPath": volume.mount}
    if volume.read_only:
        mount["readOnly"] = True
    return mount


def _installation(work: Work, settings: Settings, main: Object) -> List[Object]:
    """The two steps that put bertkit on shared storage, once, before the repository is prepared.

    A virtual environment beside the image's own packages: nothing of the image is replaced, and
    no other job installs anything.
    """
    if work.component != "prepare-repo" or settings.install_from is None:
        return []
    place = PurePosixPath(settings.program).parent.parent
    steps = {
        "make-place": [settings.python, "-m", "venv", "--system-site-packages", str(place)],
        "install-bertkit": [
            str(place / "bin" / "python"), "-m", "pip", "install", "--no-input",
            "--disable-pip-version-check", f"{settings.install_from}[data,upstream]",
        ],
    }  # fmt: skip
    return [{**main, "name": name, "command": command} for name, command in steps.items()]

"""The release as files tell it: installed packages, sysfs, the container's own description."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Iterator, List, Mapping, Optional, Sequence, Tuple

from bertkit.synapse.found import Found, found_in

_PACKAGES = ("habana-tensorflow", "habana-horovod")
_HABANA_VENDOR = "0x1da3"  # its PCI vendor id; /sys/class/accel has other makers' cards too
_MOST_BYTES = 64 * 1024

_SYSFS = (
    # (directory of cards, name of a card, files below it): SynapseAI 1.11 and newer; before
    ("sys/class/accel", re.compile(r"accel(\d+)"), ("device/driver_ver",)),
    ("sys/class/habanalabs", re.compile(r"hl(\d+)"), ("driver_ver", "device/driver_ver")),
)

# Image names: vault.habana.ai/gaudi-docker/1.13.0/ubuntu22.04/habanalabs/tensorflow-installer-...;
# a copy of it somewhere else usually keeps the last part and a tag such as 1.13.0-463.
_IMAGES = (
    re.compile(r"gaudi-docker/(?P<release>\d{1,4}\.\d{1,4}\.\d{1,4})/"),
    re.compile(
        r"(?:tensorflow|pytorch)-installer[-\w.]*?[:_](?P<release>\d{1,4}\.\d{1,4}\.\d{1,4})(?!\d)"
    ),
)
_IMAGE_VARIABLES = (
    "APPTAINER_CONTAINER",  # Apptainer: the image file or its docker:// address
    "SINGULARITY_CONTAINER",  # Singularity: the same
    "CONTAINER_IMAGE",  # set by many job templates from the pod's own image field
    "IMAGE_NAME",
    "DOCKER_IMAGE",
)


def packages(path: Optional[Sequence[str]], notes: List[str]) -> Optional[Found]:
    """The userspace by the metadata of Habana's Python packages (``1.13.0.463``: build 463)."""
    from importlib import metadata

    all_found = []
    for name in _PACKAGES:
        places = list(sys.path if path is None else path)
        for distribution in metadata.distributions(name=name, path=places):
            answer = found_in(str(distribution.version), "pip", f"{name} {distribution.version}")
            if answer is not None:
                all_found.append(answer)
                break
    if len({found.release for found in all_found}) > 1:
        notes.append("Habana's packages are of different releases: " + _listed(all_found))
    return all_found[0] if all_found else None


def sysfs_driver(root: Path, notes: List[str]) -> Optional[Found]:
    """The driver by what the kernel says of the cards below *root*."""
    all_found = []
    for place, _card, file in _card_files(root):
        text = _read(file)
        answer = found_in(text, "sysfs", f"{text.strip()} in /{place}")
        if answer is not None:
            all_found.append(answer)
    if len({found.release for found in all_found}) > 1:
        notes.append("the cards' drivers are of different releases: " + _listed(all_found))
    return all_found[0] if all_found else None


def image_name(root: Path, environment: Mapping[str, str]) -> Optional[Found]:
    """The userspace by the name of the image that this container was started from.

    A container does not know its image by itself. The name is looked for where something writes
    it: the variables of Apptainer and Singularity, variables that job templates set
    (``CONTAINER_IMAGE``, ``IMAGE_NAME``, ``DOCKER_IMAGE``), and ``/run/.containerenv``, where
    podman writes ``image="..."``. Docker and Kubernetes write it nowhere.
    """
    candidates = [environment.get(name, "") for name in _IMAGE_VARIABLES]
    candidates += re.findall(r'^image="([^"]*)"', _read(root / "run/.containerenv"), re.M)
    for candidate in candidates:
        for pattern in _IMAGES:
            match = pattern.search(candidate)
            if match is not None:
                return found_in(match.group("release"), "image name", candidate)
    return None


def _card_files(root: Path) -> Iterator[Tuple[str, int, Path]]:
    for place, pattern, names in _SYSFS:
        directory = root / place
        cards = []
        try:
            entries = sorted(directory.iterdir())
        except OSError:
            continue
        for entry in entries:
            match = pattern.fullmatch(entry.name)
            if match is not None and _is_habana(entry):
                cards.append((int(match.group(1)), entry))
        for number, entry in sorted(cards):
            for name in names:
                yield f"{place}/{entry.name}/{name}", number, entry / name


def _is_habana(card: Path) -> bool:
    vendor = _read(card / "device/vendor").strip()
    return vendor in ("", _HABANA_VENDOR)


def _read(path: Path) -> str:
    """The beginning of a file as text; empty where it cannot be read."""
    try:
        with path.open("rb") as stream:
            return stream.read(_MOST_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""


def _listed(all_found: Sequence[Found]) -> str:
    return ", ".join(str(found) for found in all_found[:4])

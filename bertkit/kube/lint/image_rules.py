"""Rules on images: of which release they are, and what runs in them."""

from __future__ import annotations

import re
from itertools import chain, islice
from typing import Iterator, List, Optional, Sequence

from bertkit.kube.lint.findings import ERROR, WARNING, Finding
from bertkit.kube.lint.scripts import scripts
from bertkit.kube.lint.workloads import Node, Workload
from bertkit.upstream import catalogue

#: mistakes of one kind that are told of one script
_MOST = 20
_HABANA = re.compile(r"/gaudi-docker/([0-9]+\.[0-9]+\.[0-9]+)/")
_TENSORFLOW = re.compile(r"/tensorflow-installer-tf-cpu-([0-9.]+[0-9])")
_CLONED = re.compile(r"git\s+clone\b[^;&\n]{0,300}?(?:-b|--branch)[ =]+([0-9]+\.[0-9]+\.[0-9]+)\b")
_NAMED = re.compile(r"\bSYNAPSE_?AI_VER(?:SION)?=[\"']?([0-9]+\.[0-9]+\.[0-9]+)\b")


def release_of(image: str) -> Optional[str]:
    """The SynapseAI release that an image's name says it is of."""
    match = _HABANA.search(image)
    return match.group(1) if match else None


def check(workload: Workload, release: Optional[str], source: Sequence[str]) -> List[Finding]:
    """Rules on all images of *workload*."""
    annotation = workload.root.at("metadata", "annotations", "bertkit/release")
    wanted = release or annotation.text() or None
    found: List[Finding] = []
    images: List[Node] = []
    for pod in workload.pods:
        for container in pod.containers():
            image = container["image"]
            images.append(image)
            found += _image(image, wanted)
            found += _cloned(container, release_of(image.text()), source)
    different = {image.text() for image in images if image}
    if workload.is_mpi and len(different) > 1:
        found.append(
            images[-1].finding(
                "one-image",
                ERROR,
                "launcher and workers have different images",
                why="mpirun, Python and bertkit must be the same at both ends",
                instead=f"the launcher's: {images[0].text()}",
            )  # fmt: skip
        )
    return found


def _image(image: Node, wanted: Optional[str]) -> Iterator[Finding]:
    text = image.text()
    if not text:
        yield image.finding(
            "image", ERROR, "no image", why="there is nothing to run", instead="image: ..."
        )
        return
    release = release_of(text)
    if release is None:
        return
    if wanted is not None and release != wanted:
        yield image.finding(
            "image-of-release", ERROR, f"the image is of release {release}, not {wanted}",
            why="repository, image and driver go together, release by release",
            instead=f"the image of {wanted}",
        )  # fmt: skip
    if "/tensorflow-" not in text:
        return
    known = catalogue.load().get(release)
    if known is None or not known.has_bert:
        yield image.finding(
            "image-of-release", ERROR, f"there is no TensorFlow BERT for release {release}",
            why="upstream carried it up to 1.14.0", instead="an image of 1.14.0 or older",
        )  # fmt: skip
        return
    tensorflow = _TENSORFLOW.search(text)
    if tensorflow and known.tensorflow and tensorflow.group(1) not in known.tensorflow:
        yield image.finding(
            "image-of-release", WARNING,
            f"TensorFlow {tensorflow.group(1)} with release {release}",
            why=f"upstream tried it with {' and '.join(known.tensorflow)}",
            instead=f"tensorflow-installer-tf-cpu-{known.tensorflow[0]}",
        )  # fmt: skip


def _cloned(container: Node, release: Optional[str], source: Sequence[str]) -> Iterator[Finding]:
    for script in scripts(container, source):
        named = chain(_CLONED.finditer(script.text), _NAMED.finditer(script.text))
        for match in islice(named, _MOST):
            if release is not None and match.group(1) != release:
                yield script.node.finding(
                    "clone-of-release", ERROR,
                    f"Model-References {match.group(1)} in an image of {release}",
                    why="scripts and libraries of different releases do not fit each other",
                    instead=f"-b {release}; `bertkit prepare-repo` finds it by itself",
                    line=script.line_of(match.group()),
                )  # fmt: skip

"""What a manifest says to its reader: how it came about, and what may be changed."""

from __future__ import annotations

import shlex
from typing import Dict, List

from bertkit import __version__
from bertkit.config import Settings
from bertkit.kube.work import Work
from bertkit.strict_yaml import Place


def top(work: Work, settings: Settings, kind: str) -> List[str]:
    """The lines above a document."""
    command = " ".join(shlex.quote(part) for part in ("bertkit", *work.arguments))
    lines = [
        f"{work.title}",
        f"made by bertkit {__version__} for site {settings.site}, release {settings.release}:",
        f"  {command}",
    ]
    if work.cards:
        device = "on HPUs" if work.device == "hpu" else "on CPUs"
        lines.append(f"ranks: {work.cards * work.nodes} {device}, {work.cards} on each node")
    lines += list(work.notes)
    lines += [
        "You may change: names, namespace, image (of the same release), volumes, cpu and memory.",
        "The number of cards follows from the command: make the manifest again instead.",
        "Check it after a change: bertkit manifest --check FILE",
    ]
    if work.shares > 1:
        lines.append(
            "completionMode: Indexed needs Kubernetes 1.22 (1.21 with a feature gate); older ones "
            "drop it silently: make one manifest for each share there, with --share I/N."
        )
    return lines


def inside(work: Work, settings: Settings, kind: str) -> Dict[Place, str]:
    """place -> comment, for places that may or may not be in a document."""
    spec: Place = ("spec",)
    if kind == "MPIJob":
        launcher = (*spec, "mpiReplicaSpecs", "Launcher")
        worker = (*spec, "mpiReplicaSpecs", "Worker")
        found = {
            (*spec, "slotsPerWorker"): "ranks on each worker: one for each of its cards",
            (*spec, "runPolicy", "cleanPodPolicy"): (
                "free the cards as soon as the launcher ends; finished pods keep their logs"
            ),
            (*spec, "runPolicy", "ttlSecondsAfterFinished"): (
                "seconds until the finished job and its logs go"
            ),
            (*spec, "runPolicy", "backoffLimit"): (
                "bertkit itself goes on from the last checkpoint: train --max-restarts K"
            ),
            launcher: "plans, starts the ranks by mpirun and watches them; holds no card",
            worker: "the ranks run here; same image and volumes as the launcher",
        }
        pod = (*launcher, "template", "spec")
    else:
        pod = (*spec, "template", "spec") if kind == "Job" else spec
        found = {
            (*spec, "ttlSecondsAfterFinished"): "seconds until the finished job and its logs go",
            (*spec, "backoffLimit"): "a failed pod is not tried again: what failed is there to see",
            (*spec, "completionMode"): "each pod takes the share of its index",
        }
    found[(*pod, "containers", 0, "image")] = f"must be of release {settings.release}"
    found[(*pod, "initContainers")] = (
        "puts bertkit on shared storage, once; no other job installs anything"
    )
    found[(*pod, "volumes")] = "must hold what the command's paths name"
    return found

"""Every kind of manifest, by the name of its golden file, and the command that makes it."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, Tuple

_VOYAGER = ("--site", "voyager")
_GENERIC = ("--site", "generic", "--image", "registry.example/bertkit:1.13.0")

_LAB = ("--site", str(Path(__file__).with_name("lab.yaml")))

KINDS: Dict[str, Tuple[str, ...]] = {
    "prepare-repo": ("prepare-repo", *_VOYAGER),
    "data-sample": ("data", "sample", *_VOYAGER),
    "phase1-1-job": ("train", "--phase", "1", *_VOYAGER),
    "phase1-1-pod": ("train", "--phase", "1", "--kind", "pod", *_VOYAGER),
    "phase1-8-v2beta1": ("train", "--phase", "1", "--cards", "8", *_VOYAGER),
    "phase2-8-v1": ("train", "--phase", "2", "--cards", "8", "--mpijob-version", "v1", *_VOYAGER),
    "phase2-8-generic": ("train", "--phase", "2", "--cards", "8", *_GENERIC),
    "mrpc-2-generic": ("train", "--task", "mrpc", "--cards", "2", *_GENERIC),
    "phase1-16-two-nodes": (
        "train", "--phase", "1", "--cards", "8", "--nodes", "2", "--max-restarts", "3", *_VOYAGER,
    ),
    "data-mrpc": ("data", "mrpc", *_VOYAGER),
    "data-squad": ("data", "squad", *_VOYAGER),
    "data-wiki": ("data", "wiki", "--dump-date", "20240501", *_VOYAGER),
    "data-wiki-indexed": ("data", "wiki", "--indexed", "4", *_VOYAGER),
    "data-wiki-share": ("data", "wiki", "--share", "1/4", *_VOYAGER),
    "data-pack": ("data", "pack", "--phase", "2", *_VOYAGER),
    "data-pack-indexed": ("data", "pack", "--phase", "2", "--indexed", "4", *_VOYAGER),
    "squad-8": ("train", "--task", "squad", "--cards", "8", *_VOYAGER),
    "phase2-8-packed": ("train", "--phase", "2", "--cards", "8", "--packed", *_VOYAGER),
    "pretrained": ("pretrained", *_VOYAGER),
    "phase2-16-lab": ("train", "--phase", "2", "--cards", "8", "--nodes", "2", *_LAB),
    "data-books-lab": ("data", "books", "--from", "/books", *_LAB),
    "phase1-tiny-2-cpu": (
        "train", "--phase", "1", "--cards", "2", "--model", "tiny", "--device", "cpu", *_GENERIC,
    ),
}  # fmt: skip

"""The catalogue of upstream releases: which there are, their commits, and what is in them.

Releases of HabanaAI/Model-References are branches, not tags, and their heads move, so the catalogue
pins a commit for each. It is made by ``tools/build_catalogue.py`` from a clone; ``bertkit upstream
scan`` tells when it has aged.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import List, Mapping, Tuple

from bertkit.errors import UpstreamUnavailable

_DATA = Path(__file__).with_name("catalogue.json")
_RELEASE = re.compile(r"[0-9]{1,4}\.[0-9]{1,4}\.[0-9]{1,4}")


@dataclass(frozen=True)
class Release:
    """One upstream release.

    Attributes:
        version: ``N.N.N``, the name of its branch and of the SynapseAI release that it goes with.
        commit: the 40 hex digits that a checkout is pinned to.
        date: the day of that commit, ``YYYY-MM-DD``.
        tensorflow: versions that its BERT README says it was validated with, newest first; empty
            where it does not say.
        python: Python versions of the image, such as ``3.10``; empty where nothing says.
        files: git blob id of each file that patches and launchers rely on, by the path from the
            repository's root; empty without TensorFlow BERT.
    """

    version: str
    commit: str
    date: str
    tensorflow: Tuple[str, ...]
    python: Tuple[str, ...]
    files: Mapping[str, str]

    @property
    def has_bert(self) -> bool:
        """Whether the release carries TensorFlow BERT."""
        return bool(self.files)


def is_release(text: str) -> bool:
    """Whether *text* is written like a release: three numbers with dots, and nothing else."""
    return _RELEASE.fullmatch(text) is not None


def numbers(version: str) -> Tuple[int, int, int]:
    """``1.13.0`` as ``(1, 13, 0)``, to compare by; *version* must be written like a release."""
    major, minor, patch = (int(part) for part in version.split("."))
    return major, minor, patch


@lru_cache(maxsize=1)
def load() -> Mapping[str, Release]:
    """Every release that bertkit knows, oldest first, by its version."""
    raw = json.loads(_DATA.read_text(encoding="utf-8"))
    return MappingProxyType(
        {
            version: Release(
                version=version,
                commit=entry["commit"],
                date=entry["date"],
                tensorflow=tuple(entry["tensorflow"]),
                python=tuple(entry["python"]),
                files=MappingProxyType(entry["files"]),
            )
            for version, entry in raw["releases"].items()
        }
    )


def with_bert() -> List[Release]:
    """The releases that carry TensorFlow BERT, oldest first."""
    return [release for release in load().values() if release.has_bert]


def find(version: str) -> Release:
    """The release *version*, which carries TensorFlow BERT.

    Raises:
        UpstreamUnavailable: *version* is not written ``N.N.N``, is not known, or has no TensorFlow
            BERT; each in its own words.
    """
    if not is_release(version):
        raise UpstreamUnavailable(
            f"{version[:40]!r} is not the name of a SynapseAI release",
            why="a release is three numbers with dots, such as 1.13.0",
            next_step="bertkit prepare-repo --synapse-version X.Y.Z",
        )
    release = load().get(version)
    supported = with_bert()
    if release is None:
        near = ", ".join(_nearest(version, [known.version for known in supported]))
        raise UpstreamUnavailable(
            f"release {version} is not known",
            why=f"the catalogue ends at {list(load())[-1]}; nearest with TensorFlow BERT: {near}",
            next_step="bertkit upstream scan    (tells whether upstream has it by now)",
        )
    if not release.has_bert:
        first, last = supported[0].version, supported[-1].version
        raise UpstreamUnavailable(
            f"release {version} has no TensorFlow BERT",
            why=f"upstream carried it from {first} to {last} and then removed it",
            next_step=f"use an image of {last} or older, or try "
            f"--synapse-version {last} and keep an eye on the driver",
        )
    return release


def _nearest(version: str, known: List[str], count: int = 3) -> List[str]:
    """Those of *known* (sorted) that stand around *version*."""
    wanted = numbers(version)
    older = [candidate for candidate in known if numbers(candidate) < wanted]
    newer = [candidate for candidate in known if numbers(candidate) > wanted]
    if not newer:
        return older[-count:]
    return older[-(count - 1) :] + newer[: count - min(len(older), count - 1)]

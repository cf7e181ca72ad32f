"""Make ``bertkit/upstream/catalogue.json`` from a clone of HabanaAI/Model-References.

    python tools/build_catalogue.py path/to/mirror.git > bertkit/upstream/catalogue.json

The clone needs every branch (``git clone --mirror``); blobs over some size may be left out, as no
file that the catalogue names is large. Everything is read from the clone, except for the Python
versions of the wheels, which stand in ``_WHEELS`` below. A release whose README does not say which
TensorFlow it was validated with has an empty list: the catalogue does not guess.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from pathlib import PurePosixPath
from typing import Dict, List, Optional, Sequence, Tuple

BERT = "TensorFlow/nlp/bert"
COMMON = "TensorFlow/common"

# The `cpXY` tags of the habana-tensorflow wheels on the Python Package Index: first and last
# release of each that has TensorFlow BERT. There are no wheels before 1.3.0.
_WHEELS = {"3.8": ((1, 3, 0), (1, 13, 0)), "3.10": ((1, 6, 0), (1, 14, 0))}

_NUMBERED = re.compile(r"\d+\.\d+\.\d+")
_VALIDATED = re.compile(r"^\|\s*Gaudi\s?\d?\s*\|\s*\d+\.\d+\.\d+\s*\|\s*(\d+\.\d+\.\d+)\s*\|", re.M)
_IMAGE = re.compile(r"tensorflow-installer-tf-cpu-(\d+\.\d+\.\d+)")
_PYTHON = re.compile(r"/usr/bin/python(3\.\d+) /usr/bin/python")


def git(mirror: str, *arguments: str) -> str:
    """What git prints; git's own message and exit if it fails."""
    command = ["git", "-C", mirror, *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def numbers(version: str) -> Tuple[int, ...]:
    """``1.13.0`` as ``(1, 13, 0)``, to sort by."""
    return tuple(int(part) for part in version.split("."))


def branches(mirror: str) -> List[Tuple[str, str, str]]:
    """Version, commit and day of the commit of every branch named ``N.N.N``, oldest first."""
    listed = git(
        mirror,
        "for-each-ref",
        "--format=%(refname:lstrip=-1) %(objectname) %(committerdate:short)",
        "refs/heads/*",
        "refs/remotes/origin/*",
    )
    found = set()
    for line in listed.splitlines():
        version, commit, day = line.split(" ")
        if _NUMBERED.fullmatch(version):
            found.add((version, commit, day))
    return sorted(found, key=lambda row: numbers(row[0]))


def wanted(path: str) -> bool:
    """Whether patches or launchers may rely on the file."""
    if path.startswith(f"{COMMON}/"):
        rest = PurePosixPath(path).relative_to(COMMON)
        return path.endswith((".py", ".json")) and (
            len(rest.parts) == 1 or rest.parts[0] == "bf16_config"
        )
    return path.endswith((".py", ".sh", ".json", "/requirements.txt"))


def files(mirror: str, version: str) -> Dict[str, str]:
    """Path -> blob id of the files that the catalogue names; empty without TensorFlow BERT."""
    if not git(mirror, "ls-tree", version, f"{BERT}/run_classifier.py"):
        return {}
    found = {}
    for line in git(mirror, "ls-tree", "-r", version, BERT, COMMON).splitlines():
        attributes, path = line.split("\t", 1)
        _mode, kind, blob = attributes.split(" ")
        if kind == "blob" and wanted(path):
            found[path] = blob
    return found


def readme(mirror: str, version: str) -> str:
    """BERT's own README of a release that has BERT."""
    return git(mirror, "cat-file", "blob", f"{version}:{BERT}/README.md")


def tensorflow_versions(text: str) -> List[str]:
    """Those of the table of validated configurations, else those of the images it names."""
    found = _VALIDATED.findall(text) or _IMAGE.findall(text)
    return sorted(set(found), key=numbers, reverse=True)


def python_versions(version: str, text: str) -> List[str]:
    """Those that Habana built wheels for; before the first wheels the one the README names."""
    wheels = [
        python for python, (first, last) in _WHEELS.items() if first <= numbers(version) <= last
    ]
    return wheels or sorted(set(_PYTHON.findall(text)), key=numbers)


def entry(mirror: str, version: str, commit: str, day: str) -> Dict[str, object]:
    """One release as the catalogue has it."""
    blobs = files(mirror, version)
    text = readme(mirror, version) if blobs else ""
    return {
        "commit": commit,
        "date": day,
        "tensorflow": tensorflow_versions(text) if blobs else [],
        "python": python_versions(version, text) if blobs else [],
        "files": blobs,
    }


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """Print the catalogue."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("mirror", help="a clone that has every branch")
    mirror = parser.parse_args(arguments).mirror
    releases = {
        version: entry(mirror, version, commit, day) for version, commit, day in branches(mirror)
    }
    json.dump({"schema": 1, "releases": releases}, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()

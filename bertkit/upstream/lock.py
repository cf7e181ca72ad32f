"""``DEST/.bertkit/lock.json``: what a checkout is, and which patches it carries.

The lock is the only thing that says what a tree should look like; ``train`` compares the tree
with it before it starts, and ``patches unapply`` refuses where they differ.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from bertkit.blobs import blob_id
from bertkit.errors import EnvironmentUnfit, PatchMisfit
from bertkit.files import write_atomic

STATE_DIRECTORY = ".bertkit"
SCHEMA = 1


@dataclass(frozen=True)
class PatchedFile:
    """One file that a patch changed; the ids are git blob ids."""

    path: str
    pre: str
    post: str


@dataclass(frozen=True)
class AppliedPatch:
    """A patch of the series that the tree carries, with the SHA-256 of each diff used."""

    id: str
    diffs: Tuple[str, ...]
    files: Tuple[PatchedFile, ...]


@dataclass(frozen=True)
class Lock:
    """The content of ``lock.json``.

    Attributes:
        url: where the tree came from (without credentials), or ``standin``.
        release: the upstream release, ``N.N.N``.
        commit: the 40 hex digits that HEAD is at.
        detected: how the release was chosen, for the record (source, userspace, driver).
        patches: those applied, in the order of the series.
        tools: versions of bertkit, git and Python that made the checkout.
        working_dir: what the data scripts get as BERT_PREP_WORKING_DIR; None: their own default.
    """

    url: str
    release: str
    commit: str
    detected: Dict[str, Any] = field(default_factory=dict)
    patches: Tuple[AppliedPatch, ...] = ()
    tools: Dict[str, str] = field(default_factory=dict)
    working_dir: Optional[str] = None

    def expected_files(self) -> Dict[str, str]:
        """The blob id that each patched file must have now: that of its last patch."""
        return {file.path: file.post for patch in self.patches for file in patch.files}


def lock_path(tree: Path) -> Path:
    """Where the lock of *tree* lies."""
    return tree / STATE_DIRECTORY / "lock.json"


def read_lock(tree: Path) -> Lock:
    """Read the lock of the checkout *tree*.

    Raises:
        EnvironmentUnfit: there is no lock; the directory is not a prepared checkout.
        PatchMisfit: the lock cannot be read as one.
    """
    path = lock_path(tree)
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise EnvironmentUnfit(
            "no prepared checkout here",
            where=tree,
            why=f"{STATE_DIRECTORY}/lock.json is missing",
            next_step=f"bertkit prepare-repo --dest {shlex.quote(str(tree))}",
        ) from None
    except (OSError, ValueError) as error:
        raise _damaged(path, str(error)) from None
    try:
        if raw["schema"] != SCHEMA:
            raise ValueError(f"schema {raw['schema']!r}, this bertkit reads {SCHEMA}")
        return Lock(
            url=str(raw["url"]),
            release=str(raw["release"]),
            commit=str(raw["commit"]),
            detected=dict(raw["detected"]),
            patches=tuple(
                AppliedPatch(
                    id=str(patch["id"]),
                    diffs=tuple(str(diff) for diff in patch["diffs"]),
                    files=tuple(
                        PatchedFile(str(file["path"]), str(file["pre"]), str(file["post"]))
                        for file in patch["files"]
                    ),
                )
                for patch in raw["patches"]
            ),
            tools={str(key): str(value) for key, value in raw["tools"].items()},
            working_dir=None if raw.get("working_dir") is None else str(raw["working_dir"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _damaged(path, f"{type(error).__name__}: {error}") from None


def write_lock(tree: Path, lock: Lock) -> None:
    """Write the lock of *tree*, whole or not at all."""
    lock_path(tree).parent.mkdir(exist_ok=True)
    write_atomic(lock_path(tree), lock_text(lock))


def lock_text(lock: Lock) -> str:
    """What :func:`write_lock` writes, for who puts it in place himself."""
    return json.dumps({"schema": SCHEMA, **asdict(lock)}, indent=2) + "\n"


def differences(tree: Path, lock: Lock) -> List[str]:
    """Where *tree* is not what *lock* says: one line a file, empty if all is well.

    Only the patched files are compared: they are what bertkit answers for.
    """
    found = []
    for name, expected in sorted(lock.expected_files().items()):
        path = tree / name
        if path.is_symlink() or not path.is_file():
            found.append(f"{name}: missing or not a plain file")
            continue
        actual = blob_id(path.read_bytes())
        if actual != expected:
            found.append(f"{name}: is {actual[:12]}, the lock says {expected[:12]}")
    return found


def _damaged(path: Path, why: str) -> PatchMisfit:
    return PatchMisfit(
        "the lock of this checkout cannot be read",
        where=path,
        why=why,
        next_step="prepare a fresh checkout: bertkit prepare-repo --dest NEW_DIRECTORY",
    )

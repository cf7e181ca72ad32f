"""Contents that git still has: upstream's own files, whatever was done to them since."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Optional

from bertkit.blobs import blob_id

_SECONDS = 20


def git_blob(tree: Path, blob: str) -> Optional[bytes]:
    """The content with the id *blob* from the checkout's object store; None if it has none."""
    content = _git(tree, "cat-file", "blob", blob)
    return content if content is not None and blob_id(content) == blob else None


def head_blob(tree: Path, path: str, *, ref: str = "HEAD") -> Optional[str]:
    """The blob id that the checked-out commit (or *ref*) has for *path*; None if there is none."""
    answer = _git(tree, "rev-parse", "--verify", "--quiet", f"{ref}:{path}")
    return None if answer is None else answer.decode("ascii", "replace").strip()


def _git(tree: Path, *arguments: str) -> Optional[bytes]:
    git_directory = tree / ".git" if (tree / ".git").exists() else tree
    if not (git_directory / "HEAD").exists() and not git_directory.is_file():
        return None  # git would go on to look in the directories above
    # Nothing of the caller's GIT_DIR, GIT_INDEX_FILE and the like may lead to another repository,
    # and a missing object is an answer here, not a reason to go to the network.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    environment.update(GIT_NO_LAZY_FETCH="1", GIT_ALLOW_PROTOCOL="none", GIT_TERMINAL_PROMPT="0")
    try:
        result = subprocess.run(
            ["git", "-C", str(tree), "--no-replace-objects", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout if result.returncode == 0 else None

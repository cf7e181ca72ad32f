"""Which paths a patch may name, and where they are in a tree.

A diff or an index is foreign input: a name that leaves the tree, or passes through a symbolic
link, would let a patch write anywhere.
"""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Optional

MAX_LENGTH = 500


def path_problem(name: str) -> Optional[str]:
    """Why *name* may not be the target of a patch, or None if it may.

    Allowed are relative POSIX paths of printable characters below the tree, in normal form.
    """
    if not name:
        return "the path is empty"
    if len(name) > MAX_LENGTH:
        return f"the path is longer than {MAX_LENGTH} characters"
    if any(not character.isprintable() for character in name):
        return "the path has control or unprintable characters"
    if "\\" in name:
        return "the path has a backslash"
    if '"' in name:
        return "the path is quoted"
    if name.startswith("/") or (len(name) > 1 and name[1] == ":"):
        return "the path is absolute"
    parts = name.split("/")
    if ".." in parts:
        return "the path leaves the tree ('..')"
    if "" in parts or "." in parts:
        return "the path is not in normal form ('//' or '.')"
    if any(_is_private(part) for part in parts):
        return "the path is inside .git or .bertkit"
    return None


def locate(tree: Path, name: str) -> Path:
    """The path of *name* in *tree*, for reading or replacing a plain file.

    Raises:
        FileNotFoundError: it is not there.
        ValueError: it, or a directory on the way to it, is a symbolic link or of another kind;
            or the name is not allowed. The message says which.
    """
    problem = path_problem(name)
    if problem:
        raise ValueError(problem)
    current = tree
    parts = name.split("/")
    for index, part in enumerate(parts):
        current = current / part
        try:
            mode = current.lstat().st_mode
        except NotADirectoryError:
            raise FileNotFoundError(str(current)) from None
        last = index == len(parts) - 1
        if stat.S_ISLNK(mode):
            raise ValueError(f"{'/'.join(parts[: index + 1])} is a symbolic link")
        if last and not stat.S_ISREG(mode):
            raise ValueError(f"{name} is not a plain file")
        if not last and not stat.S_ISDIR(mode):
            raise FileNotFoundError(str(current))
    return current


def _is_private(part: str) -> bool:
    # Some file systems ignore case, trailing dots and spaces: ".GIT" and ".git." are .git there,
    # and "git~1" is its short name.
    plain = part.lower().rstrip(". ")
    return plain in {".git", ".bertkit", "git~1"}

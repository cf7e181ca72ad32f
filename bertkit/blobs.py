"""Git blob ids: the name by which bertkit knows the exact content of a file."""

from __future__ import annotations

import hashlib


def blob_id(content: bytes) -> str:
    """The 40 hex digits that ``git hash-object`` prints for *content* (SHA-1 repositories)."""
    header = f"blob {len(content)}\0".encode("ascii")
    return hashlib.sha1(header + content).hexdigest()

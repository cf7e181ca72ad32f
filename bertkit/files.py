"""Writes that are whole or not there, and locks that say who holds them."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import socket
import sys
import tempfile
from pathlib import Path
from typing import Iterator, Optional, Union

from bertkit.errors import BertkitError

#: what the system says where a disk is full, or as full as this user may make it
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def sync_directory(directory: Path) -> None:
    """Make renames in *directory* survive a crash of the machine."""
    descriptor = os.open(str(directory), os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomic(path: Path, content: Union[bytes, str], *, mode: Optional[int] = None) -> None:
    """Write *content* to *path*: temporary file, fsync, rename.

    Args:
        path: the final name; its directory must exist.
        content: bytes, or text to be encoded as UTF-8.
        mode: permission bits; default: those of the file that is there, else 0o666 less umask.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    if mode is None:
        mode = path.stat().st_mode & 0o7777 if path.exists() else 0o666 & ~_umask()
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fchmod(stream.fileno(), mode)
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        raise
    sync_directory(path.parent)


def write_json(path: Path, value: object) -> None:
    """Write *value* as indented JSON with a final newline, atomically."""
    write_atomic(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's content in hex, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        for piece in iter(lambda: stream.read(1 << 20), b""):
            digest.update(piece)
    return digest.hexdigest()


@contextlib.contextmanager
def exclusive(lock_file: Path, *, purpose: str, wait: bool = True) -> Iterator[None]:
    """Hold *lock_file* for the length of the block; the kernel frees it if the process dies.

    Args:
        lock_file: made if missing, never removed (removing it would let two holders in).
        purpose: said to whoever has to wait, such as ``prepare-repo into /data/mr``.
        wait: wait for the holder, saying who it is; otherwise raise.

    Raises:
        BertkitError: the lock is held and *wait* is false.
    """
    lock_file.parent.mkdir(parents=True, exist_ok=True)
    with lock_file.open("a+", encoding="utf-8") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.seek(0)
            holder = stream.read(500).strip() or "another process"
            if not wait:
                raise BertkitError(
                    f"{purpose}: already under way",
                    where=lock_file,
                    why=f"held by {holder}",
                    next_step="wait for it to finish, or stop it, and run this command again",
                ) from None
            print(f"waiting for {holder}", file=sys.stderr, flush=True)
            fcntl.flock(stream, fcntl.LOCK_EX)
        stream.seek(0)
        stream.truncate()
        stream.write(f"process {os.getpid()} on {socket.gethostname()} ({purpose})\n")
        stream.flush()
        try:
            yield
        finally:
            stream.seek(0)
            stream.truncate()


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current

"""At most two connections to one host from this machine and user, whatever runs at once.

Operators of public mirrors ask for it. A connection holds one of the host's two lock files; the
kernel frees it when the process ends, however it ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import re
import stat
import tempfile
import time
from pathlib import Path
from typing import IO, Callable, Iterator, Optional

from bertkit.errors import EnvironmentUnfit

log = logging.getLogger("bertkit.data")

MOST = 2
_POLL_SECONDS = 0.1


@contextlib.contextmanager
def connection_to(
    host: str,
    *,
    directory: Optional[Path] = None,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[None]:
    """Hold one of the connections to *host* (``name:port``) for the length of the block.

    Args:
        host: whom to connect to.
        directory: where the locks lie; default: this user's own.
        stopped: once it is true, there is no waiting: the block begins and holds none.
    """
    place = directory or _own_directory()
    stem = re.sub(r"[^A-Za-z0-9.-]", "_", host)[:100]
    held = _take(place, stem)
    if held is None:
        log.info("waiting for a connection to %s: %d are in use here", host, MOST)
    while held is None and not stopped():
        time.sleep(_POLL_SECONDS)
        held = _take(place, stem)
    with held or contextlib.nullcontext():
        yield


def _take(place: Path, stem: str) -> Optional[IO[str]]:
    for number in range(MOST):
        stream = (place / f"{stem}.{number}").open("a", encoding="utf-8")
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.close()
        else:
            return stream
    return None


def _own_directory() -> Path:
    """A directory in the machine's temporary space that is this user's own and no link."""
    path = Path(tempfile.gettempdir()) / f"bertkit-{os.getuid()}"
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise EnvironmentUnfit(
            "the place for bertkit's locks is somebody else's",
            where=path,
            next_step="set TMPDIR to a directory of your own",
        )
    return path

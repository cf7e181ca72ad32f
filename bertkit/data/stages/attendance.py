"""Which shares are at work: each shows that it lives, and sees whether those that it waits for do.

A share holds the lock on a file of its own in the data directory for as long as it works, and a
small process of its touches that file every few seconds. On one machine the lock tells at once
when a share has ended, however it ended; from another machine only the touches can be seen.
"""

from __future__ import annotations

import contextlib
import fcntl
import multiprocessing
import os
import signal
import socket
import time
from pathlib import Path
from typing import Callable, Dict, Iterable, Iterator, NamedTuple, Optional, Tuple

from bertkit.data.layout import DataLayout
from bertkit.data.stages.shares import Share
from bertkit.errors import BertkitError
from bertkit.files import exclusive
from bertkit.processes import dies_with_parent

#: seconds without a sign of life after which a share counts as gone; a directory of another
#: machine may be shown up to a minute late
PATIENCE = 600.0

_SECONDS_BETWEEN_SIGNS = 5.0


@contextlib.contextmanager
def at_work(layout: DataLayout, share: Share) -> Iterator[None]:
    """Show the other shares that *share* is at work, for the length of the block.

    The same share begun twice waits here for the first.
    """
    path = _place(layout, share)
    with exclusive(path, purpose=f"share {share} of {layout.root}"):
        context = multiprocessing.get_context("fork")
        signs = context.Process(target=_give_signs, args=(path, dies_with_parent()), daemon=True)
        signs.start()
        try:
            yield
        finally:
            signs.kill()
            signs.join()


def _give_signs(path: Path, die_with_parent: Optional[Callable[[], None]]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if die_with_parent is not None:
        die_with_parent()
    while True:
        with contextlib.suppress(OSError):  # shared storage that is away for a while
            os.utime(str(path))
        time.sleep(_SECONDS_BETWEEN_SIGNS)


class _Seen(NamedTuple):
    """A share as it was last seen alive."""

    changed_ns: int
    when: float  # by this machine's own clock: those of others may be wrong
    held: bool  # its lock, seen on this machine


class Attendance:
    """What this share knows of the others.

    Args:
        layout: the data directory.
        share: this one; readable.
        patience: seconds without a sign of life after which another counts as gone.
    """

    def __init__(self, layout: DataLayout, share: Share, patience: float = PATIENCE) -> None:
        self._layout, self.share, self._patience = layout, share, patience
        self._seen: Dict[int, _Seen] = {}

    def who(self, number: int) -> str:
        """Share *number* as a person knows it, with its process and machine if it has begun."""
        words = f"share {number}/{self.share.total}"
        try:
            holder = _place(self._layout, Share(number, self.share.total)).read_text("utf-8")
        except (OSError, UnicodeDecodeError):
            holder = ""
        return f"{words}, {holder.split(' (')[0]}" if holder else words

    def gone(self, numbers: Iterable[int], doing: str) -> Optional[BertkitError]:
        """What to tell if one of *numbers* will not come or go on; none as long as all may."""
        for number in numbers:
            why = self._why_gone(number)
            if why is not None:
                other = Share(number, self.share.total)
                return BertkitError(
                    f"{doing}: share {other} is gone, and this one waits for it",
                    where=_place(self._layout, other),
                    why=why,
                    next_step=f"run the same command with --share {other} and again with "
                    f"--share {self.share}, at the same time: what is done is kept",
                )
        return None

    def _why_gone(self, number: int) -> Optional[str]:
        now = time.monotonic()
        changed, held = _state(_place(self._layout, Share(number, self.share.total)))
        before = self._seen.get(number)
        if before is None or held or (changed != before.changed_ns and not before.held):
            self._seen[number] = _Seen(changed, now, held)
            return None
        if before.held:
            return "it has ended on this machine"
        if now - before.when < self._patience:
            return None
        return f"no sign of life for {now - before.when:,.0f} s (--wait-for-shares)"


def _place(layout: DataLayout, share: Share) -> Path:
    return layout.lock.with_name(f"share.{share.number}-of-{share.total}")


def _state(path: Path) -> Tuple[int, bool]:
    """When the file was last touched, and whether a process of this machine holds it."""
    try:
        with path.open(encoding="utf-8") as stream:
            changed = os.fstat(stream.fileno()).st_mtime_ns
            if f" on {socket.gethostname()} " not in stream.read(500):
                return changed, False
            # Asked only of a file that names its holder: nobody is about to take it.
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return changed, False
    except BlockingIOError:
        return changed, True
    except (OSError, UnicodeDecodeError):
        return 0, False

"""What mpirun starts for each rank: keeps the rank's log, runs the script, notes how it ended.

    python rank.py RUN_DIRECTORY SCRIPT [FLAGS ...]

The rank's whole output goes to ``RUN_DIRECTORY/ranks/N.log`` and the way it ended to
``RUN_DIRECTORY/ranks/N.exit`` (JSON: host, code or signal, time), so that the first rank that
failed is known whatever mpirun prints. A file name ``{rank}.json`` in a flag gets the rank's
number. Only the standard library is used: this runs in the ranks' Python, which need not have
bertkit.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import List, NoReturn

PR_SET_PDEATHSIG = 1  # <sys/prctl.h>


def main(arguments: List[str]) -> NoReturn:
    """Run the script in a child process and end as it ended."""
    # Whoever started us (mpirun, its daemon on this host, or bertkit) may be killed at any time.
    _die_with(os.getppid())
    rank = os.environ.get("OMPI_COMM_WORLD_RANK", "0")
    directory = Path(arguments[0]) / "ranks"
    command = [sys.executable] + [
        part.replace("/{rank}.json", f"/{rank}.json") for part in arguments[1:]
    ]
    directory.mkdir(parents=True, exist_ok=True)

    log = os.open(str(directory / f"{rank}.log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)

    parent = os.getpid()
    child = os.fork()
    if child == 0:
        _die_with(parent)
        os.execv(command[0], command)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, lambda received, _frame: _pass_on(child, received))
    _, status = os.waitpid(child, 0)
    _note(directory / f"{rank}.exit", rank, status)
    if os.WIFSIGNALED(status):
        # End by the same signal, so that mpirun reports what really happened.
        killer = os.WTERMSIG(status)
        if killer != signal.SIGKILL:  # its handling cannot be set
            signal.signal(killer, signal.SIG_DFL)
        os.kill(os.getpid(), killer)
    sys.exit(os.WEXITSTATUS(status))


def _die_with(parent: int) -> None:
    """Ask the kernel to kill this process when *parent* dies, even by SIGKILL: no orphans."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the request
        os._exit(128 + signal.SIGKILL)


def _pass_on(child: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, number)


def _note(path: Path, rank: str, status: int) -> None:
    ended = {
        "rank": int(rank),
        "host": socket.gethostname(),
        "code": None if os.WIFSIGNALED(status) else os.WEXITSTATUS(status),
        "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else None,
        "time": time.time(),
    }
    temporary = path.with_suffix(".exit.tmp")
    with contextlib.suppress(OSError):  # a full disk must not hide the rank's own exit code
        temporary.write_text(json.dumps(ended) + "\n", encoding="utf-8")
        temporary.replace(path)


if __name__ == "__main__":
    main(sys.argv[1:])

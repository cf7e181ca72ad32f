"""``OUTPUT/.bertkit/run.json``: what ran, on what, and how it ended."""

from __future__ import annotations

import hashlib
import os
import platform
import socket
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Dict, Mapping, Optional

from bertkit import __version__
from bertkit.files import write_json
from bertkit.launch.plan import Plan
from bertkit.upstream.lock import Lock

SCHEMA = 1

_OF_ONE_ATTEMPT = ("run.json", "metrics.jsonl", "mpirun.log", "ranks", "dllog")


class Record:
    """The record of one run; on disk from the start, so that a killed run has one too."""

    def __init__(self, plan: Plan, lock: Lock) -> None:
        self._path = Path(plan.run_directory) / "run.json"
        self._value: Dict[str, Any] = {
            "schema": SCHEMA,
            "state": "running",
            "started": _now(),
            "ended": None,
            "exit_code": None,
            "process": os.getpid(),
            "host": socket.gethostname(),
            "bertkit": __version__,
            "python": platform.python_version(),
            "plan": plan.as_dict(),
            "lock": asdict(lock),
            "data": {name: fingerprint(Path(path)) for name, path in plan.needs.items()},
            "result": None,
        }
        write_json(self._path, self._value)

    @property
    def path(self) -> Path:
        """Where the record lies."""
        return self._path

    def finish(self, code: int, result: Mapping[str, Any]) -> None:
        """Note the end: *code* is the exit code, *result* the summary."""
        self._value.update(
            state="done" if code == 0 else "failed",
            ended=_now(),
            exit_code=code,
            result=dict(result),
        )
        write_json(self._path, self._value)


def put_aside(run_directory: Path) -> None:
    """Move what an earlier attempt left to ``earlier/N``: each attempt has its own logs."""
    left = [run_directory / name for name in _OF_ONE_ATTEMPT]
    left = [path for path in left if path.exists()]
    if not left:
        return
    number = 1
    while (run_directory / "earlier" / str(number)).exists():
        number += 1
    place = run_directory / "earlier" / str(number)
    place.mkdir(parents=True)
    for path in left:
        path.rename(place / path.name)


def fingerprint(path: Path) -> Optional[Dict[str, Any]]:
    """Number, bytes and a hash over names and sizes of the files at *path*; None if not there.

    Sizes, not contents: a training set has terabytes. The stage's manifest has the contents'.
    """
    if not path.exists():
        return None
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    digest = hashlib.sha256()
    total = 0
    for file in files:
        size = file.stat().st_size
        total += size
        digest.update(f"{file.name}\0{size}\n".encode())
    return {"path": str(path), "files": len(files), "bytes": total, "sha256": digest.hexdigest()}


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")

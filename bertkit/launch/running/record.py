"""``OUTPUT/.bertkit/run.json``: what ran, on what, and how it ended."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import platform
import socket
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Dict, Mapping, Optional

from bertkit import __version__
from bertkit.files import write_json
from bertkit.launch.plan import RUN_DIRECTORY, Plan
from bertkit.launch.running.failure import started
from bertkit.upstream.lock import Lock

log = logging.getLogger("bertkit")

#: 2 has the options, the attempts, the checkpoint it started from, the step it has reached and
#: the ranks' versions; 1 had none of these
SCHEMA = 2

#: bytes that are kept for the end of the record: the disk may be full by then
_ROOM = 256 << 10
_OF_ONE_ATTEMPT = ("metrics.jsonl", "mpirun.log", "ranks", "dllog")
#: bytes up to which a fingerprint is of contents; a training set has terabytes
_READ = 16 << 20


class Record:
    """The record of one run; on disk from the start, so that a killed run has one too.

    Attributes:
        good_until: where the loss was lost: the last step whose checkpoint is surely good.
    """

    def __init__(self, plan: Plan, lock: Lock, options: Optional[Mapping[str, Any]] = None) -> None:
        self.good_until: Optional[int] = None
        self._path = Path(plan.run_directory) / "run.json"
        self._room = self._path.with_name("room-for-the-end")
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
            "options": None if options is None else dict(options),
            "plan": plan.as_dict(),
            "lock": asdict(lock),
            "data": {name: fingerprint(Path(path)) for name, path in plan.needs.items()},
            "checkpoint": None if plan.starts_from is None else of_checkpoint(plan.starts_from),
            "versions": None,
            "progress": None,
            "attempts": [],
            "result": None,
        }
        write_json(self._path, self._value)
        with contextlib.suppress(OSError):  # full already: the run itself will say so
            self._room.write_bytes(bytes(_ROOM))

    @property
    def path(self) -> Path:
        """Where the record lies."""
        return self._path

    def attempt_starts(self, step: Optional[int]) -> None:
        """Another attempt begins, from the checkpoint of *step* in the output directory, if any."""
        self._value["attempts"].append(
            {"started": _now(), "ended": None, "from_step": step, "exit_code": None,
             "failure": None, "logs": str(self._path.parent)}
        )  # fmt: skip
        self._keep()

    def attempt_ends(self, code: int, failure: Optional[str]) -> None:
        """The attempt that began last is over."""
        self._value["attempts"][-1].update(ended=_now(), exit_code=code, failure=failure)
        for note in started(self._path.parent):
            self._value["versions"] = note.get("versions") or self._value["versions"]
        self._keep(last=True)

    def attempt_moved(self, place: Path) -> None:
        """The logs of the attempt that ended last lie in *place* from now on."""
        self._value["attempts"][-1]["logs"] = str(place)
        self._keep()

    def reached(self, step: int) -> None:
        """Note how far the run is; a full disk does not matter here."""
        self._value["progress"] = {"step": step, "time": _now()}
        self._keep()

    def finish(self, code: int, result: Mapping[str, Any]) -> None:
        """Note the end: *code* is the exit code, *result* the summary."""
        self._value.update(
            state="done" if code == 0 else "failed",
            ended=_now(),
            exit_code=code,
            result=dict(result),
        )
        self._keep(last=True)
        with contextlib.suppress(OSError):
            self._room.unlink()

    def _keep(self, *, last: bool = False) -> None:
        """Write it; on a full disk an end is written into the room that was kept for it."""
        try:
            try:
                write_json(self._path, self._value)
            except OSError:
                if not last or not self._room.exists():
                    raise
                self._room.unlink()
                write_json(self._path, self._value)
        except OSError as error:  # the run's own end matters more than its record
            log.warning("  the record cannot be written: %s", error)


def read(output: Path) -> Optional[Dict[str, Any]]:
    """The record of the run that *output* holds; None where there is none that can be read.

    Its ``state`` is what is true now: a run that is still noted as running while nobody holds its
    lock was killed together with its bertkit, and is ``killed``.
    """
    directory = output / RUN_DIRECTORY
    try:
        value = json.loads((directory / "run.json").read_text(encoding="utf-8"))
        if not value["state"] or not value["plan"]["job"]:
            return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if value["state"] == "running" and not _held(directory / "lock"):
        value["state"] = "killed"
    found: Dict[str, Any] = value
    return found


def next_place(run_directory: Path) -> Path:
    """The next free ``earlier/N``; not made yet."""
    number = 1
    while (run_directory / "earlier" / str(number)).exists():
        number += 1
    return run_directory / "earlier" / str(number)


def put_aside(run_directory: Path, place: Path, *, with_record: bool) -> None:
    """Move what an earlier attempt left to *place*: each attempt has its own logs."""
    names = (*_OF_ONE_ATTEMPT, "run.json") if with_record else _OF_ONE_ATTEMPT
    left = [run_directory / name for name in names]
    left = [path for path in left if path.exists()]
    if not left:
        return
    place.mkdir(parents=True, exist_ok=True)
    for path in left:
        path.rename(place / path.name)


def fingerprint(path: Path) -> Optional[Dict[str, Any]]:
    """Number, bytes and a hash of the files at *path*; None if nothing is there.

    ``sha256`` is over names and sizes: a training set has terabytes. ``contents`` is over what the
    files hold, where that is little; else None: the stage's manifest has it.
    """
    if not path.exists():
        return None
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    sizes = [file.stat().st_size for file in files]
    contents = hashlib.sha256() if sum(sizes) <= _READ else None
    digest = hashlib.sha256()
    for file, size in zip(files, sizes):
        digest.update(f"{file.name}\0{size}\n".encode())
        if contents is not None:
            contents.update(file.read_bytes())
    return {
        "path": str(path),
        "files": len(files),
        "bytes": sum(sizes),
        "sha256": digest.hexdigest(),
        "contents": None if contents is None else contents.hexdigest(),
    }


def of_checkpoint(prefix: str) -> Optional[Dict[str, Any]]:
    """The fingerprint of a checkpoint: its index, which has a checksum of every tensor."""
    return fingerprint(Path(f"{prefix}.index"))


def _held(lock: Path) -> bool:
    """Whether somebody holds *lock*; the kernel frees it when its holder dies."""
    try:
        with lock.open("rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return False
    except BlockingIOError:
        return True
    except OSError:
        return False


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")

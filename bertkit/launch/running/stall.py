"""A run that hangs: which rank is to blame, and where each of them stood.

``launchers/rank.py`` makes its rank write its stacks when it gets SIGUSR1. mpirun sends that on to
every rank on every host, so nothing depends on shared storage: each rank keeps its stacks in its
own ``N.stack`` and repeats them on mpirun's output.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional

from bertkit.launch.running.failure import end_of, read_reports, started
from bertkit.launch.running.live import duration

_FRAME = re.compile(r'^\s*File "(?P<file>[^"]*)", line (?P<line>\d+) in (?P<name>.*)$')
_THREAD = re.compile(r"^(Current thread|Thread) 0x")
# Horovod's stall inspector: "Stalled ranks:", then "0: [HorovodAllreduce_...]"; older and other
# collectives: "[missing ranks: 1, 2]".
_MISSING = re.compile(r"missing ranks: ?([\d, ]+)", re.IGNORECASE)


@dataclass(frozen=True)
class Stall:
    """What is known of a run that hung.

    Attributes:
        words: the ranks that are to blame, or where the ranks stood.
        lines: where ranks stood, those at the same place together.
        rank: the one to blame, if it is one.
        host: its host.
    """

    words: str
    lines: List[str]
    rank: Optional[int]
    host: Optional[str]


def ask_for_stacks(launcher: int, run_directory: Path) -> Dict[int, str]:
    """Ask every rank for its stacks; *launcher* is the process of mpirun or of the single rank.

    Returns:
        What is stopped on this host (rank -> words). It is let go on, for it could not answer.
    """
    stopped = {}
    here = socket.gethostname()
    for note in started(run_directory):
        if note["host"] != here:
            continue
        for role, key in (("the script", "process"), ("its wrapper", "wrapper")):
            process = int(note[key])
            if _state(process) == "T":
                stopped[int(note["rank"])] = f"{role}, process {process}"
                if key == "wrapper":
                    _signal(process, signal.SIGCONT)
    if _state(launcher) == "T":
        stopped[-1] = f"the launcher itself, process {launcher}"
        _signal(launcher, signal.SIGCONT)
    _signal(launcher, signal.SIGUSR1)
    return stopped


def explain(run_directory: Path, stopped: Mapping[int, str], seconds: float) -> Stall:
    """What the ranks had to say, once they have ended.

    Args:
        run_directory: the run's ``.bertkit``; stacks that only came through mpirun are kept there.
        stopped: see :func:`ask_for_stacks`.
        seconds: for how long nothing had moved.
    """
    reports = read_reports(run_directory)
    notes = {int(note["rank"]): note for note in reports.notes}
    hosts = {int(note["rank"]): str(note["host"]) for note in started(run_directory)}
    hosts.update({rank: str(note["host"]) for rank, note in notes.items()})
    blamed = dict(stopped)
    stood: Dict[str, List[int]] = {}
    for rank in sorted(hosts):
        note = notes.get(rank, {})
        if note.get("state") == "T":
            blamed.setdefault(rank, "the script")
        stack = _stack(run_directory, rank, reports.stacks.get(rank, []))
        stood.setdefault(_stood(note, blamed.get(rank), stack), []).append(rank)
    lines = [f"{_ranks(ranks, hosts)}: {where}" for where, ranks in stood.items()]
    since = f"no step for {duration(seconds)}"
    if blamed:
        who = [
            words if rank < 0 else f"rank {rank} on {hosts.get(rank, '?')} is stopped: {words}"
            for rank, words in sorted(blamed.items())
        ]
        rank = min(blamed)
        return Stall(
            f"{since}: {'; '.join(who)}", lines, rank if rank >= 0 else None, hosts.get(rank)
        )
    missing = _missing(run_directory)
    if missing:
        return Stall(f"{since}: Horovod waits for ranks {missing}", lines, None, None)
    return Stall(since, lines, None, None)


def _ranks(ranks: List[int], hosts: Mapping[int, str]) -> str:
    if len(ranks) == 1:
        return f"rank {ranks[0]} on {hosts[ranks[0]]}"
    return "ranks " + ", ".join(map(str, ranks))


def _stood(note: Mapping[str, Any], stopped: Optional[str], stack: List[str]) -> str:
    said = "" if stopped is None else f"stopped ({stopped}); "
    frame = innermost(stack)
    if frame is not None:
        return said + frame
    if note and not note.get("stacks"):
        return said + f"had ended already ({note.get('code')}, signal {note.get('signal')})"
    return said + "gave no stack"


def innermost(stack: List[str]) -> Optional[str]:
    """Where the main thread stood, by the last of faulthandler's blocks: it lists that one last."""
    last = None
    fresh = False
    for line in stack:
        if _THREAD.match(line):
            fresh = True
            continue
        match = _FRAME.match(line)
        if match and fresh:
            file = "/".join(Path(match.group("file")).parts[-2:])
            last = f"{match.group('name')} ({file}:{match.group('line')})"
            fresh = False
    return last


def _stack(run_directory: Path, rank: int, heard: List[str]) -> List[str]:
    file = run_directory / "ranks" / f"{rank}.stack"
    if not file.is_file() and heard:
        with contextlib.suppress(OSError):
            file.write_text("\n".join(heard) + "\n", encoding="utf-8")
    try:
        return file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return heard


def _missing(run_directory: Path) -> Optional[str]:
    found = None
    for line in end_of(run_directory / "ranks" / "0.log"):
        match = _MISSING.search(line)
        found = match.group(1).strip(" ,") if match else found
    return found


def _state(process: int) -> Optional[str]:
    try:
        stat = Path(f"/proc/{process}/stat").read_text(encoding="ascii", errors="replace")
        return stat.rsplit(")", 1)[1].split()[0]
    except (OSError, IndexError):
        return None


def _signal(process: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(process, number)

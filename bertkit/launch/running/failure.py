"""Which rank failed first, and what its end means in words."""

from __future__ import annotations

import contextlib
import json
import re
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from bertkit.launch.running.excerpt import error_in, excerpt, telling
from bertkit.launch.running.hints import ANOTHER_IS_GONE
from bertkit.launch.running.output import Output

_LAST_LINES = 20
_TEXT = 400
# What launchers/rank.py says on mpirun's output; mpirun puts its own tag in front.
_REPORTED = re.compile(r"bertkit-rank (\d+) (start|note|line|stack|log|dllog|eval) (.*)$")

_SIGNALS = {
    signal.SIGKILL: "killed by someone, or by the kernel, often for want of memory",
    signal.SIGSEGV: "a crash: it used memory that is not its own",
    signal.SIGBUS: "memory without anything behind it: often a full /dev/shm or disk",
    signal.SIGABRT: "it gave itself up",
    signal.SIGILL: "an instruction that this processor lacks",
    signal.SIGFPE: "a division by zero or the like",
    signal.SIGTERM: "somebody told it to end",
    signal.SIGPIPE: "nobody read its output any more",
    signal.SIGXFSZ: "a file grew over the limit of its size",
    signal.SIGXCPU: "it used up its processor time",
}


_Lines = Dict[int, List[str]]


@dataclass(frozen=True)
class Failure:
    """The rank that failed first.

    Attributes:
        rank, host: which, where; None if no rank got as far as to run.
        code: its exit code, 128 + N for signal N.
        words: what that means.
        last_lines: the end of its log, without what says nothing.
        text: more of it and all of it: TensorFlow's errors stand a hundred lines before the end.
        log: its log, on its own host.
        out_of_memory: the kernel says that it killed a process there for want of memory.
    """

    rank: Optional[int]
    host: Optional[str]
    code: int
    words: str
    last_lines: List[str]
    log: Path
    out_of_memory: bool = False
    text: Sequence[str] = ()

    @property
    def who(self) -> str:
        """The rank and its host, or the launcher."""
        return "the launcher" if self.rank is None else f"rank {self.rank} on {self.host}"


@dataclass(frozen=True)
class Reports:
    """What the ranks' wrappers said about their ends.

    Attributes:
        notes: the note of each rank that ended, in the order in which they are known to have ended.
        lines: for ranks whose log may be on another host: its last lines.
        stacks: likewise the stacks of ranks that were asked for them.
    """

    notes: List[Mapping[str, Any]]
    lines: Mapping[int, List[str]]
    stacks: Mapping[int, List[str]]


def first_failure(run_directory: Path, ranks: int, launcher_code: int) -> Optional[Failure]:
    """Which rank failed first, by the notes that each rank's wrapper left; None if none did.

    A rank that is ended because another failed was told so by a signal, and ends later: the
    earliest note of a rank that nobody told counts. But an exception leaves Horovod before it ends
    its process, so that the others may end sooner, with Horovod's words for it: those do not count
    where another rank has words of its own. mpirun's own word is not enough for a success: Open
    MPI 5 ends with 0 when it has lost a whole host.
    """
    reports = read_reports(run_directory)
    notes = [note for note in reports.notes if note["code"] != 0]
    untold = [note for note in notes if note.get("told") is None]
    if launcher_code == 0 and not notes and len(reports.notes) == ranks:
        return None
    if not untold:
        return _without_a_note(run_directory, launcher_code, notes)
    texts = {
        int(note["rank"]): end_of(run_directory / "ranks" / f"{note['rank']}.log", _TEXT)
        or reports.lines.get(int(note["rank"]), [])
        for note in notes
    }
    first = _culprit(notes, texts) or untold[0]
    rank = int(first["rank"])
    log, text = run_directory / "ranks" / f"{rank}.log", texts[rank]
    killed = bool(first.get("out_of_memory_kills")) and first["signal"] == signal.SIGKILL
    code, words = in_words(first["code"], first["signal"], out_of_memory=killed)
    if first.get("told") is not None:  # its own code was still to come
        code, words = 1, "an exception"
    host = str(first["host"])
    return Failure(rank, host, code, words, excerpt(text, _LAST_LINES), log, killed, text)


def _culprit(
    notes: Sequence[Mapping[str, Any]], texts: Mapping[int, Sequence[str]]
) -> Optional[Mapping[str, Any]]:
    """Of the ranks that failed the first that does not only say that another one is gone."""
    follows = re.compile(ANOTHER_IS_GONE.pattern)
    told = []
    for note in notes:
        said = telling(texts[int(note["rank"])])
        if said is not None and follows.search(said):
            continue
        if note.get("told") is None:
            return note
        told.append(note)
    # Told to end while it shut down: only its own words make it the first.
    return next((note for note in told if error_in(texts[int(note["rank"])])), None)


def in_words(
    code: Optional[int], number: Optional[int], *, out_of_memory: bool = False
) -> Tuple[int, str]:
    """The exit code to pass on, and what it means.

    Args:
        code: the exit code, or None if a signal ended the process.
        number: that signal.
        out_of_memory: the kernel counts a kill for want of memory.
    """
    if number is None:
        assert code is not None
        return code, f"exit code {code}"
    if out_of_memory:
        return 128 + number, "killed by the kernel: out of memory (the cgroup counts it)"
    known = {int(each): words for each, words in _SIGNALS.items()}
    words = f"ended by {signal_name(number)}"
    return 128 + number, f"{words} ({known[number]})" if number in known else words


def read_reports(run_directory: Path) -> Reports:
    """What the ranks said about their ends, from their files and from mpirun's output.

    The clocks of several hosts differ; where ranks of more than one host have said something, the
    order in which mpirun heard it counts.
    """
    files = {int(note["rank"]): note for note in _from_files(run_directory / "ranks", "exit")}
    heard, lines = _from_output(run_directory / "mpirun.log")
    both = {**heard, **files}
    order = list(heard)
    if len({note["host"] for note in both.values()}) > 1:
        ranked = sorted(both, key=lambda r: (order.index(r) if r in order else len(order), r))
    else:
        ranked = sorted(both, key=lambda r: float(both[r]["time"]))
    return Reports([both[rank] for rank in ranked], lines["line"], lines["stack"])


def started(run_directory: Path) -> List[Mapping[str, Any]]:
    """The ranks that came to run: rank, host, process and wrapper (process ids of that host)."""
    files = {int(note["rank"]): note for note in _from_files(run_directory / "ranks", "start")}
    heard = _from_output(run_directory / "mpirun.log", "start")[0]
    return list({**heard, **files}.values())


def end_of(log: Path, count: int = _LAST_LINES, most: int = 64 * 1024) -> List[str]:
    """The last *count* lines of *log* that are not empty, out of its last *most* bytes."""
    try:
        with log.open("rb") as stream:
            stream.seek(0, 2)
            stream.seek(max(0, stream.tell() - most))
            text = stream.read().decode("utf-8", errors="replace")
    except FileNotFoundError:
        return []
    lines = [line.rstrip() for line in text.splitlines()]
    return [line for line in lines if line.strip(" \t\0")][-count:]


def signal_name(number: int) -> str:
    """``SIGKILL`` for 9."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _without_a_note(
    run_directory: Path, launcher_code: int, told: List[Mapping[str, Any]]
) -> Failure:
    """No rank says that it failed by itself: one vanished with its wrapper, or none came to run."""
    log = run_directory / "mpirun.log"
    lines = [line for line in end_of(log) if not _REPORTED.search(line)]
    code = launcher_code or 1
    ranks = started(run_directory)
    if not ranks and not told:
        return Failure(None, None, code, "no rank came to run", lines, log)
    ended = {int(note["rank"]) for note in read_reports(run_directory).notes}
    lost = [note for note in ranks if int(note["rank"]) not in ended]
    if len(lost) == 1:
        rank = int(lost[0]["rank"])
        words = "its processes were killed, or its host is gone"
        own = run_directory / "ranks" / f"{rank}.log"
        text = end_of(own, _TEXT)
        last = excerpt(text, _LAST_LINES) or lines
        return Failure(rank, str(lost[0]["host"]), code, words, last, own, text=text)
    words = (
        f"it was {in_words(None, code - 128)[1]}"
        if 128 < code < 128 + signal.NSIG
        else "ended by something outside, and no rank could say how"
    )
    hosts = sorted({str(note["host"]) for note in lost})
    if len(hosts) == 1 and len({str(note["host"]) for note in ranks}) > 1:
        words = f"{hosts[0]} is gone, or its daemon was killed: nothing from its {len(lost)} ranks"
    elif hosts:
        words += f" (ranks without a word: {len(lost)}, on {', '.join(hosts)})"
    return Failure(None, None, code, words, lines, log)


def _from_files(directory: Path, kind: str) -> List[Mapping[str, Any]]:
    notes: List[Mapping[str, Any]] = []
    for path in sorted(directory.glob(f"*.{kind}")):
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            note = json.loads(path.read_text(encoding="utf-8"))
            float(note["time"]), int(note["rank"]), str(note["host"])
            notes.append(note)
    return notes


def _from_output(
    log: Path, which: str = "note"
) -> Tuple[Dict[int, Mapping[str, Any]], Dict[str, _Lines]]:
    notes: Dict[int, Mapping[str, Any]] = {}
    lines: Dict[str, _Lines] = {"line": {}, "stack": {}}
    with contextlib.suppress(OSError):
        for line in Output(log).lines(to_the_end=True):
            match = _REPORTED.search(line.decode("utf-8", errors="replace"))
            if match is None:
                continue
            rank, kind, text = int(match.group(1)), match.group(2), match.group(3)
            if kind in lines:
                lines[kind].setdefault(rank, []).append(text)
                continue
            if kind != which:
                continue
            with contextlib.suppress(ValueError, TypeError, KeyError):
                note = json.loads(text)
                float(note["time"]), str(note["host"])
                notes.setdefault(rank, note)
    return notes, lines

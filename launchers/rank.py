"""What mpirun starts for each rank: keeps the rank's log, runs the script, notes how it ended.

    python rank.py [--tell] RUN_DIRECTORY SCRIPT [FLAGS ...]
    python rank.py --versions                           what runs the script, as JSON

In ``RUN_DIRECTORY/ranks`` rank N has ``N.log`` (its whole output), ``N.start`` (host, processes,
versions) and ``N.exit`` (how it ended, and when). The same notes and the log's last lines also go
to mpirun's output, so that they come from a host that does not share the directory too. So the rank
that failed first is known whatever mpirun prints. A file name ``{rank}.json`` in a flag gets the
rank's number.

With ``--tell`` the launcher does not see this directory: rank 0 then tells all that a run is
followed by (its log, dllogger's reports, in the end the results of an evaluation) on mpirun's
output, line by line as it comes.

SIGUSR1, which mpirun passes on to every rank on every host, asks for the stacks of a run that
hangs: the script is ended by SIGABRT, on which Python writes them (PYTHONFAULTHANDLER is set), and
they are kept in ``N.stack``. Nothing has to be put into the script for that.

Only the standard library is used: this runs in the ranks' Python, which need not have bertkit.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import signal
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Dict, List, NoReturn, Optional

if TYPE_CHECKING:
    from tale import Tale

PR_SET_PDEATHSIG = 1  # <sys/prctl.h>

#: what is sent to mpirun's output begins with this
MARK = "bertkit-rank"
LAST_LINES = 20
_TEXT_LINES = 400
#: seconds that a rank stays after its stacks are out, so that mpirun does not end the others sooner
_AFTER_STACKS = 1.0


class Rank:
    """One rank, from the start of its script to its end."""

    def __init__(self, directory: Path, command: List[str], *, tells: bool = False) -> None:
        self.number = int(os.environ.get("OMPI_COMM_WORLD_RANK", "0"))
        self._tells = tells and self.number == 0
        self._directory = directory
        self._command = command
        self._log = directory / f"{self.number}.log"
        self._child = 0
        self._told: Optional[int] = None  # by which signal this rank was asked to end, if it was
        self._state: Optional[str] = None  # the script's, in /proc, when its stacks were asked for
        self._stack_from: Optional[int] = None  # where in the log they begin

    def run(self) -> NoReturn:
        """Run the script in a child process and end as it ended."""
        report = os.dup(1)  # not inherited by the script
        tale = self._tale(report)
        log = os.open(str(self._log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(log, 1)
        os.dup2(log, 2)
        killed_before = out_of_memory_kills()
        parent = os.getpid()
        self._child = os.fork()
        if self._child == 0:
            _die_with(parent)
            # mpirun signals whole process groups: this one is for us.
            signal.signal(signal.SIGUSR1, signal.SIG_IGN)
            os.execv(self._command[0], self._command)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda received, _frame: self._end(received))
        signal.signal(signal.SIGUSR1, lambda _number, _frame: self._dump())
        signal.signal(signal.SIGUSR2, lambda number, _frame: self._pass_on(number))
        start = self._start()
        self._write("start", start)
        with contextlib.suppress(OSError):
            os.write(report, f"{MARK} {self.number} start {json.dumps(start)}\n".encode())
        status = os.waitpid(self._child, 0)[1] if tale is None else tale.until(self._child)

        note = self._end_note(status, killed_before)
        if tale is not None:
            note["checkpoint"] = tale.newest_checkpoint()
        self._keep_stack()
        self._write("exit", note)
        self._report(report, note)
        if self._stack_from is not None:
            time.sleep(_AFTER_STACKS)
        if os.WIFSIGNALED(status):
            # End by the same signal, so that mpirun reports what really happened.
            killer = os.WTERMSIG(status)
            if killer != signal.SIGKILL:  # its handling cannot be set
                signal.signal(killer, signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            os.kill(os.getpid(), killer)
        sys.exit(os.WEXITSTATUS(status))

    def _tale(self, to: int) -> Optional[Tale]:
        if not self._tells:
            return None
        from tale import Tale  # beside this file

        return Tale(to, self._log, self._command)

    def _end(self, number: int) -> None:
        self._told = number
        self._pass_on(number)

    def _pass_on(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._child, number)

    def _dump(self) -> None:
        """End the script so that Python writes the stacks of all its threads into the log."""
        if self._stack_from is not None:
            return
        self._state = state_of(self._child)
        self._stack_from = self._log.stat().st_size
        with contextlib.suppress(OSError, ValueError):  # no core file in upstream's directory
            resource.prlimit(self._child, resource.RLIMIT_CORE, (0, 0))
        self._pass_on(signal.SIGABRT)
        self._pass_on(signal.SIGCONT)  # a stopped process takes it only then

    def _start(self) -> Dict[str, object]:
        note: Dict[str, object] = {
            "rank": self.number,
            "host": socket.gethostname(),
            "process": self._child,
            "wrapper": os.getpid(),
            "time": time.time(),
        }
        if os.environ.get("OMPI_COMM_WORLD_LOCAL_RANK", "0") == "0":
            note["versions"] = versions()
        return note

    def _end_note(self, status: int, killed_before: Optional[int]) -> Dict[str, object]:
        by_signal = os.WIFSIGNALED(status)
        note: Dict[str, object] = {
            "rank": self.number,
            "host": socket.gethostname(),
            "code": None if by_signal else os.WEXITSTATUS(status),
            "signal": os.WTERMSIG(status) if by_signal else None,
            "time": time.time(),
            "told": self._told,
            "state": self._state,
            "stacks": self._stack_from is not None,
            "peak_kib": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss,
        }
        killed = out_of_memory_kills()
        if killed is not None and killed_before is not None:
            note["out_of_memory_kills"] = killed - killed_before
        return note

    def _keep_stack(self) -> None:
        if self._stack_from is None:
            return
        with contextlib.suppress(OSError), self._log.open("rb") as stream:
            stream.seek(self._stack_from)
            self._log.with_suffix(".stack").write_bytes(stream.read())

    def _write(self, kind: str, note: Dict[str, object]) -> None:
        path = self._log.with_suffix(f".{kind}")
        temporary = path.with_suffix(f".{kind}.tmp")
        with contextlib.suppress(OSError):  # a full disk must not hide the rank's own exit code
            temporary.write_text(json.dumps(note) + "\n", encoding="utf-8")
            temporary.replace(path)

    def _report(self, to: int, note: Dict[str, object]) -> None:
        """Say it on mpirun's output; a rank that ended well has nothing more to say."""
        said = [f"{MARK} {self.number} note {json.dumps(note)}"]
        if note["code"] == 0:
            pass
        elif self._stack_from is None:
            # All that may tell the cause; less where only somebody else's failure ended this rank.
            most = LAST_LINES if self._told else _TEXT_LINES
            said += [f"{MARK} {self.number} line {line}" for line in last_lines(self._log, most)]
        else:
            stack = last_lines(self._log.with_suffix(".stack"), most=_TEXT_LINES)
            said += [f"{MARK} {self.number} stack {line}" for line in stack]
        with contextlib.suppress(OSError), os.fdopen(to, "wb") as stream:
            stream.write(("\n".join(said) + "\n").encode("utf-8", errors="replace"))


def main(arguments: List[str]) -> NoReturn:
    """Run the script of the command line as this process's rank."""
    if arguments == ["--versions"]:
        print(json.dumps(versions()))
        sys.exit(0)
    tells = arguments[0] == "--tell"
    arguments = arguments[1:] if tells else arguments
    # Whoever started us (mpirun, its daemon on this host, or bertkit) may be killed at any time.
    _die_with(os.getppid())
    directory = Path(arguments[0]) / "ranks"
    directory.mkdir(parents=True, exist_ok=True)
    rank = os.environ.get("OMPI_COMM_WORLD_RANK", "0")
    for part in arguments[1:]:
        if part.endswith("/{rank}.json"):
            Path(part.split("=", 1)[-1]).parent.mkdir(parents=True, exist_ok=True)
    script = [part.replace("/{rank}.json", f"/{rank}.json") for part in arguments[1:]]
    Rank(directory, [sys.executable, *script], tells=tells).run()


def state_of(process: int) -> Optional[str]:
    """The letter that /proc has for the state of *process*, such as ``T`` for stopped."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text(encoding="ascii", errors="replace")
        return stat.rsplit(")", 1)[1].split()[0]
    except (OSError, IndexError):
        return None


def out_of_memory_kills() -> Optional[int]:
    """How many processes of this cgroup the kernel has killed for want of memory, if it says."""
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        root = Path("/sys/fs/cgroup") / controllers
        file = "memory.oom_control" if controllers else "memory.events"  # cgroup 1, 2
        for place in (root / path.lstrip("/"), root):  # in a container the path may be the host's
            with contextlib.suppress(OSError, ValueError, IndexError):
                for entry in (place / file).read_text(encoding="ascii").splitlines():
                    if entry.split()[0] == "oom_kill":
                        return int(entry.split()[1])
    return None


def versions() -> Dict[str, Optional[str]]:
    """What runs the script: versions of Python and of the packages that matter."""
    from importlib import metadata

    found: Dict[str, Optional[str]] = {"python": sys.version.split()[0]}
    for name, packages in {
        "tensorflow": ("tensorflow-cpu", "tensorflow", "intel-tensorflow"),
        "horovod": ("horovod", "habana-horovod"),
        "habana": ("habana-tensorflow",),
    }.items():
        found[name] = None
        for package in packages:
            with contextlib.suppress(metadata.PackageNotFoundError):
                found[name] = metadata.version(package)
                break
    return found


def last_lines(log: Path, most: int = LAST_LINES) -> List[str]:
    """The end of *log*: lines that are not empty, none of them long."""
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - 64 * 1024))
            text = stream.read().decode("utf-8", errors="replace")
    except OSError:
        return []
    return [line[:500] for line in text.splitlines() if line.strip()][-most:]


def _die_with(parent: int) -> None:
    """Ask the kernel to kill this process when *parent* dies, even by SIGKILL: no orphans."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the request
        os._exit(128 + signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1:])

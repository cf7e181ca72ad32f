"""Running git where the repository and its server are not to be trusted.

Everything runs inside ``isolated``: only harmless ``GIT_*`` variables remain, hooks and filters are
off, and git may speak one protocol. Commands that may talk to a server go through ``run``, which
has its own limit on the whole process group: GitPython's ``kill_after_timeout`` neither covers
clones nor git's helper processes (gitpython-developers/GitPython#892).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import IO, Dict, Iterator, List, Mapping, Optional, Sequence

from bertkit.errors import EnvironmentUnfit, UsageProblem
from bertkit.processes import dies_with_parent

LIMIT_VARIABLE = "BERTKIT_GIT_TIMEOUT"
_LIMIT_SECONDS = 600.0
_TAIL_BYTES = 64 * 1024

# Variables that are kept; every other GIT_* is removed, as it could move the repository
# (GIT_DIR, GIT_WORK_TREE, GIT_INDEX_FILE: set when bertkit is called from a hook), run a program
# (GIT_SSH_COMMAND, GIT_EXTERNAL_DIFF, GIT_PROXY_COMMAND) or print secrets (GIT_TRACE_CURL).
_KEPT = {
    "GIT_EXEC_PATH": "a git that was moved after its installation needs it",
    "GIT_SSL_CAINFO": "sites with their own certificate authority set it",
    "GIT_SSL_CAPATH": "the same, as a directory",
    "GIT_HTTP_PROXY_AUTHMETHOD": "some proxies want it",
    "GIT_CONFIG_GLOBAL": "says which user configuration to read, proxies among it",
    "GIT_CONFIG_SYSTEM": "the same for the system's",
    "GIT_CONFIG_NOSYSTEM": "the same, for none",
    "GIT_CEILING_DIRECTORIES": "keeps git from searching slow network directories",
}

_SETTINGS = {
    "core.hooksPath": "/dev/null",  # a template or the user's own hooks must not run here
    "core.fsmonitor": "false",  # another way to run a program
    "core.autocrlf": "false",  # patches are chosen by blob id: bytes must be upstream's
    "core.eol": "lf",
    "filter.lfs.smudge": "",  # no large files, and no git-lfs process
    "filter.lfs.process": "",
    "filter.lfs.required": "false",
    "submodule.recurse": "false",
    "fetch.recurseSubmodules": "false",
    "gc.auto": "0",  # it would go on in the background after git has ended
    "maintenance.auto": "false",
    "advice.detachedHead": "false",
    "http.lowSpeedLimit": "1",  # bytes/s; with the next line: silence for a minute is an end
    "http.lowSpeedTime": "60",
}


class GitFailed(Exception):
    """git ended with an error; ``message`` is the end of what it said."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class GitStalled(Exception):
    """git took longer than the limit and was killed."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"stopped after {seconds:g} s")
        self.seconds = seconds


def limit_seconds(environment: Optional[Mapping[str, str]] = None) -> float:
    """Wall-clock limit for one git command that talks to a server: 600, or the variable's.

    Raises:
        UsageProblem: the variable holds no positive number.
    """
    text = (os.environ if environment is None else environment).get(LIMIT_VARIABLE)
    if not text:
        return _LIMIT_SECONDS
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e6:
        raise UsageProblem(
            f"{LIMIT_VARIABLE} must be a number of seconds above 0",
            why=f"it is {text[:40]!r}",
            next_step=f"unset {LIMIT_VARIABLE}, or set it to 600",
        )
    return seconds


def require_git() -> None:
    """Check that there is a git to run.

    Raises:
        EnvironmentUnfit: there is none.
    """
    if shutil.which("git") is None:
        raise EnvironmentUnfit(
            "git is not installed",
            why="there is no git on PATH, and upstream comes from a git repository",
            next_step="apt-get install git",
        )


@contextlib.contextmanager
def isolated(protocol: str) -> Iterator[None]:
    """Run git, also through GitPython, without surprises from outside for the block's length.

    The process's own environment is changed and put back, because GitPython can add to it but
    not leave anything out.

    Args:
        protocol: the one that git may speak, ``https`` or ``file``.
    """
    before = {name: value for name, value in os.environ.items() if name.startswith("GIT_")}
    for name in before:
        del os.environ[name]
    os.environ.update({name: value for name, value in before.items() if name in _KEPT})
    os.environ.update(_own_variables(protocol))
    try:
        yield
    finally:
        for name in [name for name in os.environ if name.startswith("GIT_")]:
            del os.environ[name]
        os.environ.update(before)


def _own_variables(protocol: str) -> Dict[str, str]:
    variables = {
        "GIT_TERMINAL_PROMPT": "0",  # never wait for somebody to type a password
        "GIT_ASKPASS": "",  # nor open a window for it
        "GIT_ALLOW_PROTOCOL": protocol,
        "GIT_LFS_SKIP_SMUDGE": "1",
        "GIT_TEMPLATE_DIR": "",  # new repositories start without hooks
        "GIT_CONFIG_COUNT": str(len(_SETTINGS)),
    }
    for number, (key, value) in enumerate(_SETTINGS.items()):
        variables[f"GIT_CONFIG_KEY_{number}"] = key
        variables[f"GIT_CONFIG_VALUE_{number}"] = value
    return variables


def run(arguments: Sequence[str], *, where: Path, limit: Optional[float] = None) -> str:
    """Run ``git ARGUMENTS`` in *where* and give what it printed on stdout.

    Must be called inside ``isolated``.

    Args:
        arguments: without ``git`` itself.
        where: the working directory.
        limit: seconds of wall clock until the process group is killed; default ``limit_seconds``.

    Raises:
        GitFailed: git ended with an error.
        GitStalled: it ran into the limit.
    """
    seconds = limit_seconds() if limit is None else limit
    # GIT_CONFIG_COUNT exists from git 2.31 on; the Ubuntu 20.04 images have 2.25, which
    # knows `-c` and hands it on to its helpers.
    command = ["git"]
    for key, value in _SETTINGS.items():
        command += ["-c", f"{key}={value}"]
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as complaint:
        process = subprocess.Popen(
            [*command, *arguments],
            cwd=str(where),
            env={**os.environ, "LC_ALL": "C", "LANGUAGE": "C"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=complaint,
            start_new_session=True,
            preexec_fn=dies_with_parent(),
        )
        try:
            process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise GitStalled(seconds) from None
        finally:
            # Also after a normal end: a helper that outlives git would write into a
            # directory that is about to be renamed.
            kill_group(process)
        if process.returncode != 0:
            raise GitFailed(_tail(complaint) or f"git ended with {process.returncode}")
        return _tail(output)


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill the process group that *process* leads, and collect *process*."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _tail(stream: IO[bytes]) -> str:
    size = stream.seek(0, os.SEEK_END)
    stream.seek(max(0, size - _TAIL_BYTES))
    return stream.read().decode("utf-8", "replace")


def version() -> str:
    """The version of git, such as ``2.39.5``."""
    import git

    return ".".join(str(part) for part in git.Git().version_info)


def remote_branches(url: str, *, limit: Optional[float] = None) -> Dict[str, str]:
    """The commit that each branch of the repository at *url* stands at, by the branch's name.

    Must be called inside ``isolated``; raises as ``run`` does.
    """
    listed = run(["ls-remote", "--heads", "--", url], where=Path("/"), limit=limit)
    found: Dict[str, str] = {}
    for line in listed.splitlines():
        commit, _, ref = line.partition("\t")
        prefix = "refs/heads/"
        if ref.startswith(prefix) and len(commit) == 40:
            found[ref[len(prefix) :]] = commit
    return found


def lines_of(message: str) -> List[str]:
    """The lines of a message of git's that say something."""
    return [line.strip() for line in message.splitlines() if line.strip()]

"""One script of upstream's: looked at before hours of work, run, and its last words told."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Dict, Optional, Sequence

from bertkit.errors import BertkitError, EnvironmentUnfit

log = logging.getLogger("bertkit.data")

_RUNNER = Path(__file__).with_name("runner.py")
_SAY_EVERY = 5.0  # seconds
_LAST_WORDS = 4096  # bytes


def data_script(repo: Path, name: str, needs: Sequence[str]) -> Path:
    """The absolute path of a script of a checkout.

    Args:
        repo: the checkout.
        name: of the script, in ``data_preprocessing``.
        needs: modules that it imports, directly or not.

    Raises:
        EnvironmentUnfit: the script or a module is not there.
    """
    script = (repo / "TensorFlow/nlp/bert/data_preprocessing" / name).absolute()
    if not script.is_file():
        raise EnvironmentUnfit(
            "upstream's script is not there", where=script,
            next_step="bertkit prepare-repo, or give a checkout that has it with --repo",
        )  # fmt: skip
    for module in needs:
        if find_spec(module) is None:
            raise EnvironmentUnfit(
                f"upstream's {name} needs {module}", where=sys.executable,
                next_step=f"{sys.executable} -m pip install {module}, or --engine native",
            )  # fmt: skip
    return script


def run_script(
    script: Path,
    arguments: Sequence[str],
    *,
    doing: str,
    seed: int = 0,
    directory: Optional[Path] = None,
    environment: Optional[Dict[str, str]] = None,
    where: Optional[Path] = None,
    next_step: str = "--engine native",
) -> None:
    """Run *script* to its end; its last line is said every few seconds.

    It and all that it starts are a process group of their own, which ends with this process.

    Args:
        script: as ``data_script`` gives it.
        arguments: its own.
        doing: for the log.
        seed: for the generators that it does not seed.
        directory: to run in.
        environment: variables besides this process's.
        where: what it works on, for the error; default: the script.
        next_step: for the error.

    Raises:
        BertkitError: it failed.
    """
    pipe, alive = os.pipe()
    with tempfile.TemporaryFile() as words, contextlib.ExitStack() as ending:
        ending.callback(os.close, alive)
        process = subprocess.Popen(
            [sys.executable, str(_RUNNER), str(pipe), str(seed), str(script), *arguments],
            stdin=subprocess.DEVNULL, stdout=words, stderr=subprocess.STDOUT, cwd=directory,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1", **(environment or {})},
            pass_fds=(pipe,), start_new_session=True,
        )  # fmt: skip
        ending.callback(process.wait)
        ending.callback(_end, process)
        os.close(pipe)
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = process.wait(_SAY_EVERY)
                break
            log.info("%s: %s", doing, _last_line(words))
        if code:
            raise BertkitError(
                f"upstream's {script.name} failed", where=where or script,
                why=_last_line(words) or f"exit code {code}", next_step=next_step,
            )  # fmt: skip


def _end(process: subprocess.Popen[bytes]) -> None:
    """End what is left of the process's group, which need not be the process itself."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _last_line(words: IO[bytes]) -> str:
    end = os.fstat(words.fileno()).st_size
    start = max(end - _LAST_WORDS, 0)
    said = os.pread(words.fileno(), end - start, start).decode("utf-8", "replace")
    return next((line.strip()[:300] for line in reversed(said.split("\n")) if line.strip()), "")

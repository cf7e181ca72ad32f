"""Asking a node for facts: the question, and the answer of this machine.

``launchers/node.py`` answers. It needs nothing but Python, so that the same question can be put on
any node, through whatever reaches it: ``ssh NODE python3 - QUESTION < node.py``.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any, Dict, Iterable, Mapping, Optional

from bertkit.devices.machine import SYSTEM_ROOT_VARIABLE
from bertkit.errors import BertkitError, EnvironmentUnfit
from bertkit.launch.nodes.answer import parse
from bertkit.launch.nodes.facts import Facts
from bertkit.resources import shipped

#: packages whose versions matter; TensorFlow goes by several names
PACKAGES = (
    "tensorflow-cpu", "tensorflow", "intel-tensorflow", "habana-tensorflow", "horovod",
    "habana-horovod", "numpy", "scipy", "tensorboard", "h5py", "six",
)  # fmt: skip

_SECONDS = 120


def question(
    *,
    directory: Optional[str] = None,
    repo: Optional[str] = None,
    files: Iterable[str] = (),
    modules: Iterable[str] = (),
    needs: Optional[Mapping[str, str]] = None,
    checkpoint: Optional[str] = None,
    output: Optional[str] = None,
    probe: Optional[Mapping[str, str]] = None,
    open_devices: bool = False,
) -> str:
    """What ``launchers/node.py`` is asked, as its one argument; see there for each key."""
    asked: Dict[str, Any] = {
        "directory": directory,
        "repo": repo,
        "files": list(files),
        "modules": list(modules),
        "packages": list(PACKAGES),
        "needs": dict(needs or {}),
        "checkpoint": checkpoint,
        "output": output,
        "probe": None if probe is None else dict(probe),
        "open_devices": open_devices,
    }
    return json.dumps({key: value for key, value in asked.items() if value})


def program() -> Path:
    """The program that answers; it may also be sent to a node on ``python -``'s stdin."""
    return shipped("launchers") / "node.py"


def ask_here(python: Path, environment: Mapping[str, str], asked: str) -> Facts:
    """Ask this machine, with the ranks' *python* in the ranks' *environment*.

    Raises:
        EnvironmentUnfit: that Python does not run or does not answer.
    """
    variables = dict(environment)
    if SYSTEM_ROOT_VARIABLE in os.environ:
        variables[SYSTEM_ROOT_VARIABLE] = os.environ[SYSTEM_ROOT_VARIABLE]
    try:
        done = subprocess.run(
            [str(python), str(program()), asked], env=variables, capture_output=True,
            text=True, errors="replace", timeout=_SECONDS, check=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        return parse(done.stdout, str(python))
    except (OSError, subprocess.SubprocessError, BertkitError) as error:
        said = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
        raise EnvironmentUnfit(
            "the ranks' Python does not answer", where=python, why=said[-1] if said else None,
            next_step="set BERTKIT_PYTHON to the Python that has TensorFlow",
        ) from None  # fmt: skip

"""Runs for tests: a small script in place of upstream's, under bertkit in a process of its own."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, Dict, List, Optional, Set

import pytest

from bertkit.launch.plan import Plan
from bertkit.launch.running.attempts import Supervision

CHECKPOINT = Path(__file__).parent.parent / "fixtures" / "checkpoint"

#: reports as upstream does, and then does what the test wants
SCRIPT = """
import json, os, shutil, signal, sys, time
flags = dict(flag[2:].split("=", 1) for flag in sys.argv[1:] if "=" in flag)
rank = os.environ.get("OMPI_COMM_WORLD_RANK", "0")
log = open(flags["dllog_path"], "w")
def report(step, loss=9.0):
    data = {"total_loss": loss, "mlm_loss": loss - 0.7, "nsp_loss": 0.7,
            "learning_rate": "0.001", "throughput_train": 5.0 * step}
    log.write("DLLL " + json.dumps({"type": "LOG", "step": step + 1, "data": data}) + "\\n")
    log.flush()
def save(step=7):
    directory = flags["output_dir"] + ("" if rank == "0" else "/worker_" + rank)
    os.makedirs(directory, exist_ok=True)
    for part in os.listdir(%(checkpoint)r):
        name = part.replace("-7.", "-%%d." %% step)
        shutil.copy(os.path.join(%(checkpoint)r, part), os.path.join(directory, name))
def here():
    note = flags["output_dir"] + "/pid" + rank
    open(note + ".tmp", "w").write(str(os.getpid()))
    os.rename(note + ".tmp", note)
def everybody_is_here(ranks):
    here()
    while not all(os.path.exists(flags["output_dir"] + "/pid%%d" %% n) for n in range(ranks)):
        time.sleep(0.02)
%(then)s
"""

needs_mpirun = pytest.mark.skipif(
    not (shutil.which("mpirun") or (Path(sys.executable).parent / "mpirun").exists()),
    reason="needs mpirun: make test brings one",
)


def script(then: str) -> str:
    """The script that ends with *then*."""
    return SCRIPT % {"checkpoint": str(CHECKPOINT), "then": then}


def record_of(plan: Plan) -> Dict[str, Any]:
    value: Dict[str, Any] = json.loads((Path(plan.run_directory) / "run.json").read_text())
    return value


def start(
    plan: Plan,
    repo: Path,
    *,
    supervision: Optional[Supervision] = None,
    grace: float = 60.0,
    before: str = "",
    **popen: Any,
) -> subprocess.Popen[bytes]:
    """A process of its own that runs the plan as ``bertkit train`` does, to send signals to."""
    code = (
        "import json, logging, signal, sys\n"
        "from pathlib import Path\n"
        "from bertkit.cli.common import leave\n"
        "from bertkit.errors import RunFailed\n"
        "from bertkit.launch import train\n"
        "from bertkit.launch.running import attempts, supervise\n"
        "from bertkit.launch.plan import Derivation, Plan\n"
        "from bertkit.upstream.lock import read_lock\n"
        f"{before}\n"
        "logging.basicConfig(format='%(message)s', level=logging.INFO)\n"
        f"supervise.GRACE = {grace}\n"
        "value = json.loads(sys.argv[1])\n"
        "value['derivations'] = [Derivation(**each) for each in value['derivations']]\n"
        "supervision = attempts.Supervision(**json.loads(sys.argv[3]))\n"
        "try:\n"
        "    train.execute(Plan(**value), read_lock(Path(sys.argv[2])), supervision)\n"
        "except RunFailed as failure:\n"
        "    try: print(failure, file=sys.stderr)\n"
        "    except OSError: pass\n"
        "    leave(failure.exit_code)\n"
    )
    how = json.dumps(asdict(supervision or Supervision()))
    arguments: List[str] = [sys.executable, "-c", code, json.dumps(plan.as_dict()), str(repo), how]
    return subprocess.Popen(arguments, **popen)


def wait_for(path: Path) -> int:
    """The number that a script writes into *path*."""
    deadline = time.monotonic() + 60
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < deadline, f"{path} never came"
        time.sleep(0.02)
    return int(path.read_text())


def wait_for_the_end_of(pid: int) -> None:
    deadline = time.monotonic() + 60
    while alive(pid):
        assert time.monotonic() < deadline, f"process {pid} is still there"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """Whether *pid* runs; a process that only waits to be collected does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def children_of(pid: int) -> List[int]:
    """The processes that *pid* started."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(stat.read_text().rsplit(")", 1)[1].split()[1]) == pid:
                found.append(int(stat.parent.name))
    return found


def with_in_command_line(text: str) -> Set[int]:
    """The processes that have *text* in their command line: those of one run, by its directory."""
    found = set()
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if text in command.read_bytes().decode(errors="replace"):
                found.add(int(command.parent.name))
    return {pid for pid in found if alive(pid)}

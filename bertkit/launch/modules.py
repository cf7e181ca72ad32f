"""What the ranks' Python can import, asked of that Python itself, without importing TensorFlow."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import List, Mapping, Optional, Sequence

from bertkit.errors import BertkitError, EnvironmentUnfit

# Runs in the ranks' Python: looks modules up without importing them. TensorFlow is packaged under
# several names.
_PROBE = """
import importlib.util, json, sys
from importlib import metadata
def there(name):
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False
def version(*names):
    for name in names:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            pass
print(json.dumps({
    "python": sys.version.split()[0],
    "missing": [name for name in sys.argv[1:] if not there(name)],
    "tensorflow": version("tensorflow-cpu", "tensorflow", "intel-tensorflow"),
    "horovod": version("horovod", "habana-horovod"),
    "habana": version("habana-tensorflow"),
}))
"""

_INSTALL = {
    "horovod": "make demo builds it for the CPU; in a Gaudi image it is habana-horovod",
    "habana_frameworks": "run this in a Gaudi image, or take --device cpu",
}


@dataclass(frozen=True)
class Modules:
    """The ranks' Python: its version, those of the packages that matter, what is missing."""

    python: str
    tensorflow: Optional[str]
    horovod: Optional[str]
    habana: Optional[str]
    missing: Sequence[str]


def probe(
    python: Path, environment: Mapping[str, str], names: Sequence[str], directory: Path
) -> Modules:
    """Ask *python*, in the ranks' *environment* and *directory*, which of *names* it can import.

    Raises:
        EnvironmentUnfit: that Python does not run or does not answer.
    """
    try:
        done = subprocess.run(
            [str(python), "-c", _PROBE, *names], env=dict(environment), capture_output=True,
            text=True, timeout=60, check=True, stdin=subprocess.DEVNULL, cwd=directory,
        )  # fmt: skip
        answer = json.loads(done.stdout)
        return Modules(**answer)
    except (OSError, subprocess.SubprocessError, ValueError, TypeError) as error:
        said = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
        raise EnvironmentUnfit(
            "the ranks' Python does not answer", where=python, why=said[-1] if said else None,
            next_step="set BERTKIT_PYTHON to the Python that has TensorFlow",
        ) from None  # fmt: skip


def problems(
    found: Modules, python: Path, release: str, wanted_tensorflow: Sequence[str]
) -> List[BertkitError]:
    """What is missing or of the wrong version; empty if all is well.

    Args:
        found: see :func:`probe`.
        python: where it was asked.
        release: the upstream release of the checkout.
        wanted_tensorflow: the versions which that release was validated with.
    """
    trouble: List[BertkitError] = [
        EnvironmentUnfit(
            f"the Python module {name} is missing",
            where=python,
            next_step=_INSTALL.get(name, f"{python} -m pip install {name}"),
        )
        for name in found.missing
        if name != "tensorflow"
    ]
    series = {_minor(version) for version in wanted_tensorflow}
    wanted = " or ".join(wanted_tensorflow)
    if found.tensorflow is None:
        trouble.append(
            EnvironmentUnfit(
                "TensorFlow is missing",
                where=python,
                why=f"upstream {release} wants {wanted}",
                next_step="make demo sets one up for the CPU; a Gaudi image brings its own",
            )
        )
    elif series and _minor(found.tensorflow) not in series:
        trouble.append(
            EnvironmentUnfit(
                f"TensorFlow {found.tensorflow} is here",
                where=python,
                why=f"upstream {release} wants {wanted}",
                next_step="take the image or the checkout of the other's release: "
                "bertkit prepare-repo --synapse-version X.Y.Z --dest NEW_DIRECTORY",
            )
        )
    return trouble


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])

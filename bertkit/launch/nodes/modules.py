"""Whether the ranks' Python fits a release: what it can import, and in which versions."""

from __future__ import annotations

import re
from typing import List, Optional, Sequence, Tuple

from bertkit.errors import BertkitError, EnvironmentUnfit
from bertkit.launch.nodes.facts import Facts
from bertkit.upstream import catalogue

_INSTALL = {
    "horovod": "make demo builds it for the CPU; in a Gaudi image it is habana-horovod",
    "habana_frameworks": "run this in a Gaudi image, or take --device cpu",
}
#: the first release whose scripts import a module; the others have always been
_SINCE = {"habana_frameworks": "1.0.0", "scipy": "1.5.0", "tensorboard": "0.14.0"}
_OTHER_RELEASE = (
    "take the image or the checkout of the other's release: "
    "bertkit prepare-repo --synapse-version X.Y.Z --dest NEW_DIRECTORY"
)


def needed_by(release: str, names: Sequence[str]) -> Tuple[str, ...]:
    """Of the modules *names* those that the scripts of *release* import."""
    return tuple(
        name
        for name in names
        if name not in _SINCE or catalogue.numbers(release) >= catalogue.numbers(_SINCE[name])
    )


def problems(
    facts: Facts, python: str, release: Optional[str], wanted_tensorflow: Sequence[str]
) -> List[BertkitError]:
    """What is missing, or of the wrong version of TensorFlow; empty if all is well.

    Args:
        facts: the node's.
        python: the ranks' interpreter there.
        release: the upstream release of the checkout, if there is one.
        wanted_tensorflow: the versions which that release was validated with.
    """
    missing: List[BertkitError] = [
        EnvironmentUnfit(
            f"the Python module {name} is missing",
            where=python,
            next_step=what_installs(name, python),
        )
        for name in facts.missing or ()
        if name != "tensorflow"
    ]
    return missing + tensorflow_problems(facts, python, release, wanted_tensorflow)


def tensorflow_problems(
    facts: Facts, python: str, release: Optional[str], wanted: Sequence[str]
) -> List[BertkitError]:
    """Whether TensorFlow is there, in one of the series that *release* was validated with."""
    why = f"upstream {release} wants {' or '.join(wanted)}" if wanted else None
    if facts.tensorflow is None:
        return [
            EnvironmentUnfit(
                "TensorFlow is missing",
                where=python,
                why=why,
                next_step="make demo sets one up for the CPU; a Gaudi image brings its own",
            )
        ]
    if wanted and minor(facts.tensorflow) not in map(minor, wanted):
        return [
            EnvironmentUnfit(
                f"TensorFlow {facts.tensorflow} is here",
                where=python,
                why=why,
                next_step=_OTHER_RELEASE,
            )
        ]
    return []


def what_installs(name: str, python: str) -> str:
    """What to do where the module *name* is missing."""
    return _INSTALL.get(name, f"{python} -m pip install {name}")


def habana_problems(facts: Facts, python: str, release: Optional[str]) -> List[BertkitError]:
    """Whether habana-tensorflow is of the checkout's release; its last number may differ."""
    version = facts.version("habana-tensorflow")
    if version is None or release is None or minor(version) == minor(release):
        return []
    return [
        EnvironmentUnfit(
            f"habana-tensorflow {version} is here, the checkout is of {release}",
            where=python,
            why="upstream's scripts are released together with the libraries that they call",
            next_step=_OTHER_RELEASE,
        )
    ]


def horovod_problems(facts: Facts, python: str) -> List[BertkitError]:
    """Whether Horovod was built with the TensorFlow that is there, as far as its metadata says."""
    built, there = facts.horovod_built_for, facts.tensorflow
    if built is None or there is None or minor(built) == minor(there):
        return []
    return [
        EnvironmentUnfit(
            f"Horovod was built with TensorFlow {built}, TensorFlow {there} is here",
            where=python,
            next_step="build it again: pip install --force-reinstall --no-deps "
            "--no-build-isolation --no-cache-dir horovod",
        )
    ]


def minor(version: str) -> str:
    """``2.13`` of ``2.13.1``."""
    return ".".join(version.split(".")[:2])


def release_of(version: str) -> str:
    """``1.13.0`` of ``1.13.0.463`` or ``1.13.0-ee32e42``; the whole where it is none."""
    match = re.match(r"\d+\.\d+\.\d+", version)
    return match.group() if match else version

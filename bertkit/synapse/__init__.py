"""Which SynapseAI release is here, and how we know.

The userspace (libraries, as the image brings them) and the driver (of the node's kernel) are
released together but installed apart, so they are found and reported apart. Upstream's branch must
match the image's libraries: where the two differ, the userspace decides and the difference is said.

The sources, in the order in which they are asked until both are known:

1. the explicit option;
2. pip's metadata of ``habana-tensorflow`` and ``habana-horovod`` (userspace);
3. sysfs: ``/sys/class/accel/accelN/device/driver_ver`` from 1.11 on and
   ``/sys/class/habanalabs/hlN/driver_ver`` before (driver);
4. ``hl-smi -Q driver_version -f csv,noheader`` (driver);
5. ``hl-smi -v`` (userspace);
6. the table that ``hl-smi`` prints (both);
7. dpkg: ``habanalabs-graph`` (userspace);
8. the image's name, where a container can know it (userspace); see ``image_name``.
"""

from __future__ import annotations

import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from bertkit.errors import EnvironmentUnfit, UsageProblem
from bertkit.synapse.files import image_name, packages, sysfs_driver
from bertkit.synapse.found import Found
from bertkit.synapse.programs import HlSmi, dpkg_userspace

__all__ = ["Detection", "Found", "detect", "look", "not_found"]

_RELEASE = re.compile(r"[0-9]{1,4}\.[0-9]{1,4}\.[0-9]{1,4}")


@dataclass(frozen=True)
class Detection:
    """Which release was found.

    Attributes:
        release: the one to go by, ``N.N.N``: the option's, else the userspace's, else the driver's.
        source: which source that came from.
        userspace: what is known of the libraries; None: nothing.
        driver: what is known of the kernel's driver; None: nothing.
        warnings: what does not fit together, in words.
    """

    release: str
    source: str
    userspace: Optional[Found] = None
    driver: Optional[Found] = None
    warnings: Tuple[str, ...] = ()

    def as_dict(self) -> Dict[str, object]:
        """The same as plain values, for locks and ``--json``."""
        return asdict(self)


def detect(
    option: Optional[str] = None,
    *,
    root: Path = Path("/"),
    environment: Optional[Mapping[str, str]] = None,
    path: Optional[Sequence[str]] = None,
) -> Detection:
    """The release that is here; arguments and errors as for ``look``.

    Raises:
        EnvironmentUnfit: no source knows a release.
    """
    found = look(option, root=root, environment=environment, path=path)
    if found is None:
        raise not_found()
    return found


def not_found() -> EnvironmentUnfit:
    """The error for a machine where no source knows a release."""
    return EnvironmentUnfit(
        "no SynapseAI release was found on this machine",
        why="no Habana package, driver, hl-smi or image name is here",
        next_step="say which release to use: --synapse-version X.Y.Z (1.13.0, for example)",
    )


def look(
    option: Optional[str] = None,
    *,
    root: Path = Path("/"),
    environment: Optional[Mapping[str, str]] = None,
    path: Optional[Sequence[str]] = None,
) -> Optional[Detection]:
    """The release that is here, or None.

    Args:
        option: what the user says, ``N.N.N``; decides, but a different userspace is reported.
        root: the directory that stands for ``/`` (its ``sys``, ``run`` and ``etc`` are read).
        environment: variables to read and to start programs with; default: the process's.
        path: where installed Python packages are looked for; default ``sys.path``.

    Raises:
        UsageProblem: *option* is not written ``N.N.N``.
    """
    environment = os.environ if environment is None else environment
    if option is not None and not _RELEASE.fullmatch(option):
        raise UsageProblem(
            f"{option[:40]!r} is not the name of a SynapseAI release",
            why="a release is three numbers with dots, such as 1.13.0",
            next_step="--synapse-version X.Y.Z",
        )
    notes: List[str] = []
    userspace = packages(path, notes)
    driver = sysfs_driver(root, notes)
    if option is None:
        userspace, driver = _ask_programs(userspace, driver, root, environment, notes)
    notes += _differences(option, userspace, driver)
    if option is not None:
        return Detection(option, "option", userspace, driver, tuple(notes))
    best = userspace or driver
    if best is None:
        return None
    return Detection(best.release, best.source, userspace, driver, tuple(notes))


def _ask_programs(
    userspace: Optional[Found],
    driver: Optional[Found],
    root: Path,
    environment: Mapping[str, str],
    notes: List[str],
) -> Tuple[Optional[Found], Optional[Found]]:
    """Sources 4 to 8, as far as something is still unknown."""
    smi = HlSmi(environment, notes)
    driver = driver or smi.driver()
    userspace = userspace or smi.userspace()
    if userspace is None or driver is None:
        from_table, driver_of_table = smi.table()
        userspace, driver = userspace or from_table, driver or driver_of_table
    later: List[Callable[[], Optional[Found]]] = [
        lambda: dpkg_userspace(environment),
        lambda: image_name(root, environment),
    ]
    for source in later:
        userspace = userspace or source()
    return userspace, driver


def _differences(
    option: Optional[str], userspace: Optional[Found], driver: Optional[Found]
) -> List[str]:
    said = []
    if option is not None and userspace is not None and userspace.release != option:
        said.append(
            f"--synapse-version says {option}, but the libraries here are {userspace}: "
            f"the branch {option} may not fit them"
        )
    if userspace is not None and driver is not None and userspace.release != driver.release:
        said.append(
            f"the libraries are {userspace}, but the driver is {driver}: the branch follows the "
            "libraries; if a card does not open, use an image of the driver's release"
        )
    return said

"""Names of objects and labels, as Kubernetes wants them."""

from __future__ import annotations

import re
from typing import Optional

from bertkit.errors import UsageProblem

#: An object's name must also do for a service and a host name: RFC 1035, at most 63 characters.
LONGEST = 63
_DNS_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_DNS_1123 = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")


def trouble(name: str, *, workers: int = 0) -> Optional[str]:
    """Why *name* cannot be a job's, in words; None if it can.

    Args:
        name: of a Pod, Job or MPIJob.
        workers: of an MPIJob, whose last worker is called ``NAME-worker-(N-1)``.
    """
    if not _DNS_1035.fullmatch(name):
        return (
            f"{name!r} is no name: small letters, digits and hyphens, beginning with a letter and "
            "ending with a letter or digit"
        )
    longest = worker_name(name, workers - 1) if workers else name
    if len(longest) > LONGEST:
        whose = f"its last worker is called {longest}, " if workers else ""
        return f"{name!r} is too long: {whose}{len(longest)} characters, at most {LONGEST}"
    return None


def checked(name: str, *, workers: int = 0) -> str:
    """*name*, which can be a job's.

    Raises:
        UsageProblem: it cannot.
    """
    why = trouble(name, workers=workers)
    if why is not None:
        raise UsageProblem("this name cannot be used", why=why, next_step="take another: --name")
    return name


def checked_namespace(name: str) -> str:
    """*name*, which can be a namespace's.

    Raises:
        UsageProblem: it cannot.
    """
    if len(name) > LONGEST or not _DNS_1123.fullmatch(name):
        raise UsageProblem(
            f"{name!r} cannot be a namespace",
            why=f"small letters, digits and hyphens, at most {LONGEST} characters",
            next_step="take another: --namespace",
        )
    return name


def worker_name(name: str, number: int) -> str:
    """What the MPI operator calls a worker's pod."""
    return f"{name}-worker-{number}"

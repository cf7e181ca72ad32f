"""Which share of a stage's parts this process does, where several machines work together."""

from __future__ import annotations

import re
from typing import Mapping, NamedTuple, Optional, Sequence, TypeVar

from bertkit.errors import EnvironmentUnfit, UsageProblem

_Item = TypeVar("_Item")

#: with an indexed Job of Kubernetes: how many shares there are (the job's ``completions``)
SHARES_VARIABLE = "BERTKIT_SHARES"


class Share(NamedTuple):
    """Share *number*, from 0, of *total*."""

    number: int = 0
    total: int = 1

    def of(self, items: Sequence[_Item]) -> Sequence[_Item]:
        """The items that are this share's: every *total*-th."""
        return items[self.number :: self.total]

    def __str__(self) -> str:
        return f"{self.number}/{self.total}"


def find_share(asked: Optional[str], environ: Mapping[str, str]) -> Share:
    """The share that is asked for as ``I/N``, else this rank's or this pod's, else all.

    Under mpirun that is Open MPI's rank; in an indexed Job the pod's ``JOB_COMPLETION_INDEX``.

    Raises:
        UsageProblem: what is asked for, or what the environment says, is no share.
        EnvironmentUnfit: there are several shares, and nothing says which is this pod's.
    """
    for source, text in (
        ("--share", asked),
        ("Open MPI's variables", _pair(environ, "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE")),
        (SHARES_VARIABLE, _pair(environ, "JOB_COMPLETION_INDEX", SHARES_VARIABLE)),
    ):
        if text is None:
            continue
        match = re.fullmatch(r"(\d{1,5})/(\d{1,5})", text)
        if match is None or not int(match.group(1)) < int(match.group(2)):
            raise UsageProblem(
                f"{text!r} is no share", where=source, why="a share is I/N, with I from 0 to N-1",
                next_step="--share 0/4 is the first of four",
            )  # fmt: skip
        return Share(int(match.group(1)), int(match.group(2)))
    if environ.get(SHARES_VARIABLE, "1") != "1":
        # Kubernetes before 1.22 drops completionMode without a word: each pod would do everything.
        raise EnvironmentUnfit(
            "this pod does not know which share is its own",
            where=f"{SHARES_VARIABLE}={environ[SHARES_VARIABLE]}",
            why="there is no JOB_COMPLETION_INDEX: this Kubernetes knows no indexed Jobs",
            next_step="one Job for each share: bertkit manifest data ... --share I/N",
        )
    return Share()


def _pair(environ: Mapping[str, str], number: str, count: str) -> Optional[str]:
    if number not in environ or count not in environ:
        return None
    return f"{environ[number]}/{environ[count]}"

"""The errors that a user can meet, each with an exit code and a next step.

An error says what went wrong, where, why, and which command to run next, in one to five lines.
Anything that is not a ``BertkitError`` is a fault of bertkit's own.
"""

from __future__ import annotations

from typing import Any, Dict, Optional, Sequence, Tuple, Type


class BertkitError(Exception):
    """Something that the user can understand and act on."""

    exit_code = 1

    def __init__(
        self,
        what: str,
        *,
        where: Optional[object] = None,
        why: Optional[str] = None,
        next_step: Optional[str] = None,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.where = None if where is None else str(where)
        self.why = why
        self.next_step = next_step

    def __reduce__(self) -> Tuple[Any, ...]:
        """As it is, also from one process to another, whatever its class asks for when made."""
        return _again, (type(self), self.args, self.__dict__)

    def __str__(self) -> str:
        lines = [self.what]
        for label, text in (("where", self.where), ("why", self.why), ("next", self.next_step)):
            if text:
                lines.append(f"  {label + ':':<6} {text}")
        return "\n".join(lines)

    def as_dict(self) -> Dict[str, object]:
        """The same as a JSON object, for ``--json``."""
        return {
            "error": self.what,
            "kind": type(self).__name__,
            "where": self.where,
            "why": self.why,
            "next": self.next_step,
            "exit_code": self.exit_code,
        }


def _again(kind: Type[BertkitError], args: Tuple[Any, ...], state: Dict[str, Any]) -> BertkitError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class UsageProblem(BertkitError):
    """The command line asks for something that makes no sense."""

    exit_code = 2


class EnvironmentUnfit(BertkitError):
    """This machine or image lacks something that the job needs."""

    exit_code = 3


class PatchMisfit(BertkitError):
    """A patch does not fit the tree, or the tree is not what its lock says."""

    exit_code = 4


class UpstreamUnavailable(BertkitError):
    """The upstream release cannot be had: unreachable, unknown or without TensorFlow BERT."""

    exit_code = 5


class UpstreamUnreachable(UpstreamUnavailable):
    """The server cannot be reached or is silent; what it has is not known."""


class DataDamaged(BertkitError):
    """Data or a checkpoint is missing, incomplete or not what it should be."""

    exit_code = 6


class DownloadFailed(BertkitError):
    """A file cannot be had now: unreachable, refused or cut off at each of its addresses."""


class RunFailed(BertkitError):
    """A training run failed; carries the first failing rank's own exit code."""

    def __init__(
        self,
        what: str,
        *,
        code: int,
        where: Optional[object] = None,
        why: Optional[str] = None,
        next_step: Optional[str] = None,
    ) -> None:
        super().__init__(what, where=where, why=why, next_step=next_step)
        self.exit_code = code


class SeveralProblems(BertkitError):
    """All that stands in the way, told at once; the exit code is the first one's."""

    def __init__(self, problems: Sequence[BertkitError]) -> None:
        super().__init__(f"{len(problems)} things stand in the way")
        self.problems = tuple(problems)
        self.exit_code = problems[0].exit_code

    def __str__(self) -> str:
        return "\n".join([self.what, *(f"- {problem}" for problem in self.problems)])

    def as_dict(self) -> Dict[str, object]:
        """The same as a JSON object, with one entry a problem."""
        return {**super().as_dict(), "problems": [each.as_dict() for each in self.problems]}

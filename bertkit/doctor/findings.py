"""One line of what ``bertkit doctor`` says, and all of them together."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Dict, Optional, Tuple

from bertkit.errors import BertkitError, EnvironmentUnfit


@dataclass(frozen=True)
class Surroundings:
    """The places and the device that are looked at.

    Attributes:
        device: ``hpu`` or ``cpu``; ``auto`` is settled by what is here.
        repo: the checkout.
        data: the data directory.
        output: where a run would write.
    """

    device: str
    repo: Path
    data: Path
    output: Path


@dataclass(frozen=True)
class Finding:
    """What was looked at, what was found, whether that is fit, and what to do if not.

    ``fit`` is None where there is nothing to judge: not needed on this machine, or not there yet.
    """

    what: str
    found: str
    fit: Optional[bool] = None
    do: Optional[str] = None

    @classmethod
    def of(cls, what: str, error: BertkitError) -> Finding:
        """What *error* says, as something that is not fit."""
        found = [error.what, *filter(None, [error.why])]
        place = f" ({error.where})" if error.where else ""
        return cls(what, ": ".join(found) + place, False, error.next_step)


@dataclass(frozen=True)
class Diagnosis:
    """All findings; two diagnoses add up to one."""

    findings: Tuple[Finding, ...]

    def __add__(self, other: Diagnosis) -> Diagnosis:
        return Diagnosis(self.findings + other.findings)

    @property
    def fit(self) -> bool:
        """Whether nothing was found that is not."""
        return all(each.fit is not False for each in self.findings)

    @property
    def exit_code(self) -> int:
        """0, or that of a machine that is not fit."""
        return 0 if self.fit else EnvironmentUnfit.exit_code

    def as_dict(self) -> Dict[str, Any]:
        """The same as JSON values."""
        return {"fit": self.fit, "findings": [asdict(each) for each in self.findings]}

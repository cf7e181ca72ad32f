"""What a check says: where, what, why, and what to write instead."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Dict, Optional

ERROR = "error"
WARNING = "warning"


@dataclass(frozen=True)
class Finding:
    """Something wrong with a manifest.

    Attributes:
        rule: its name, such as ``hpus-equal-slots``.
        level: ``error``: the job would fail or go wrong; ``warning``: it might, or it wastes.
        document: which document of the file, from 1.
        path: the place in it, such as ``spec.template.spec.containers[0].image``.
        line: the line of the file, or None if it was not read from one.
        what, why, instead: for people.
    """

    rule: str
    level: str
    document: int
    path: str
    line: Optional[int]
    what: str
    why: str
    instead: str

    def as_dict(self) -> Dict[str, Any]:
        """As JSON values."""
        return asdict(self)

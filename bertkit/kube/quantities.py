"""Kubernetes' quantities: ``95``, ``500m``, ``409Gi``."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Dict, Optional

_UNITS: Dict[str, Fraction] = {
    "": Fraction(1),
    "m": Fraction(1, 1000),
    **{unit: Fraction(1000**n) for n, unit in enumerate("kMGTP", start=1)},
    **{f"{unit}i": Fraction(1024**n) for n, unit in enumerate("KMGTP", start=1)},
}
_QUANTITY = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,9})?)([a-zA-Z]*)")


def value(quantity: object) -> Optional[Fraction]:
    """The number that a quantity stands for (bytes, processors, pieces); None if it is none."""
    if isinstance(quantity, bool) or not isinstance(quantity, (int, float, str)):
        return None
    match = _QUANTITY.fullmatch(str(quantity).strip())
    if match is None or match.group(2) not in _UNITS:
        return None
    return Fraction(match.group(1)) * _UNITS[match.group(2)]


def share(quantity: str, part: int, of: int) -> str:
    """*part* of *of* equal parts of a quantity, rounded down in its own unit, at least 1."""
    match = _QUANTITY.fullmatch(quantity)
    assert match is not None  # the settings' schema says so
    return f"{max(1, int(Fraction(match.group(1)) * part / of))}{match.group(2)}"

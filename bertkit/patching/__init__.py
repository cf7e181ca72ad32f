"""Versioned patches: what they are, which state a tree is in, and how to change it safely.

The names below are the whole public interface; each is imported when it is first used. No module
may be named like one of them: importing it would put the module in the name's place.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bertkit.patching.apply import apply_series, diff_series
    from bertkit.patching.journal import recover
    from bertkit.patching.model import Series
    from bertkit.patching.series import load_series
    from bertkit.patching.state import PatchState, states
    from bertkit.patching.unapply import unapply_series

_HOMES = {
    "PatchState": "state",
    "Series": "model",
    "apply_series": "apply",
    "diff_series": "apply",
    "load_series": "series",
    "recover": "journal",
    "states": "state",
    "unapply_series": "unapply",
}

__all__ = [
    "PatchState",
    "Series",
    "apply_series",
    "diff_series",
    "load_series",
    "recover",
    "states",
    "unapply_series",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)

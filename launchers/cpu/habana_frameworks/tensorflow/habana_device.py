"""What kind of device this is: none of Habana's."""

from __future__ import annotations


def get_type() -> str:
    """A name that is none of Habana's, so that upstream takes no Gaudi-only branch."""
    return "CPU"

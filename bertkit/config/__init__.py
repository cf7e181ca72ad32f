"""Settings of a site and its user: where jobs run, with what, and where each value comes from."""

from __future__ import annotations

from bertkit.config.layers import (
    Resolved,
    read_file,
    resolve,
    site_names,
    site_profile,
    user_file,
    variable,
)
from bertkit.config.settings import Amounts, Settings, Volume

__all__ = [
    "Amounts",
    "Resolved",
    "Settings",
    "Volume",
    "read_file",
    "resolve",
    "site_names",
    "site_profile",
    "user_file",
    "variable",
]

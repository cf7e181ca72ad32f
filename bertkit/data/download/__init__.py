"""Downloads: resumed, checked, polite. ``fetch`` does one file, ``Remote`` says which."""

from __future__ import annotations

from bertkit.data.download.fetch import Fetched, fetch, find
from bertkit.data.download.patience import Patience
from bertkit.data.download.remote import Remote

__all__ = ["Fetched", "Patience", "Remote", "fetch", "find"]

"""Reading a listing or another small text, which stays in memory."""

from __future__ import annotations

import logging
from typing import List, Optional

from bertkit.data.download.patience import Patience
from bertkit.data.download.remote import shown
from bertkit.data.download.web import Passing, Refused, Trouble, Web
from bertkit.errors import DownloadFailed

log = logging.getLogger("bertkit.data")


def read_small(
    addresses: List[str],
    patience: Patience = Patience(),  # noqa: B008  (it cannot be changed)
    *,
    most_bytes: int = 8 << 20,
    next_step: Optional[str] = None,
) -> bytes:
    """The content of the first of *addresses* that gives one.

    Raises:
        DownloadFailed: none does; the message says why for each.
    """
    reasons = []
    for address in addresses:
        try:
            return _read(address, patience, most_bytes)
        except Trouble as trouble:
            reasons.append(f"{shown(address)}: {trouble}")
    raise DownloadFailed(
        "what is published cannot be looked up",
        where=shown(addresses[0]),
        why="; ".join(reasons),
        next_step=next_step or "try again later, or name a mirror of your own with --from",
    )


def _read(address: str, patience: Patience, most_bytes: int) -> bytes:
    web = Web(patience)
    failures = 0
    while True:
        try:
            content = b""
            with web.get(address) as answer:
                for piece in answer.pieces:
                    content += piece
                    if len(content) > most_bytes:
                        raise Refused(f"it has more than {most_bytes:,} bytes")
            return content
        except Passing as trouble:
            failures += 1
            if failures >= patience.attempts:
                raise
            wait = patience.wait_after(failures) if trouble.wait is None else trouble.wait
            log.info("%s: %s; again in %.1f s", shown(address), trouble, wait)
            patience.sleep(wait)

"""All of a data directory checked: text, records, packs."""

from __future__ import annotations

from pathlib import Path
from typing import List, NamedTuple, Optional

from bertkit.data.packing.verify import CheckedPacks, verify_all
from bertkit.data.records.verify import Checked
from bertkit.data.wikipedia.verify import CheckedText, verify_text


class Verified(NamedTuple):
    """What was read and is as it should be."""

    texts: List[CheckedText]
    records: List[Checked]
    packs: List[CheckedPacks]


def verify_everything(directory: Path, source: Optional[Path] = None) -> Verified:
    """Check whatever lies in *directory*: a data directory, or one directory of packs.

    Args:
        directory: which.
        source: the records that packs were made of; then nothing else is looked at.

    Raises:
        DataDamaged: something is not as it should be, or there is nothing to check.
    """
    texts = [] if source is not None else verify_text(directory)
    if texts and not any((directory / name).exists() for name in ("tfrecord", "tfrecord_packed")):
        return Verified(texts, [], [])  # records come later
    return Verified(texts, *verify_all(directory, source))

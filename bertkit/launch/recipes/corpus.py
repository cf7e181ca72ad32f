"""Which corpus' records a run reads."""

from __future__ import annotations

from pathlib import Path
from typing import Iterable, List, Optional

from bertkit.errors import UsageProblem

#: upstream's name for English Wikipedia alone; with books it is ``books_wiki_en_corpus``
USUAL = "wikicorpus_en"
_PLACE = "${corpus}"


def choose(data: Path, paths: Iterable[str], asked: Optional[str]) -> str:
    """The corpus' name: as asked, else the only one that is there.

    Args:
        data: the data directory.
        paths: what the job reads below it, with ``${corpus}`` where the name stands.
        asked: the user's choice, or None.

    Raises:
        UsageProblem: there are several, or the name is none.
    """
    if asked is not None:
        if asked in ("", ".", "..") or "/" in asked or "\0" in asked:
            raise UsageProblem(
                f"{asked!r} is no name of a corpus",
                why="it names a directory of records",
                next_step=f"take --corpus {USUAL}",
            )
        return asked
    there = _there(data, paths)
    if len(there) > 1:
        raise UsageProblem(
            "there are records of several corpora",
            where=data,
            why=", ".join(there),
            next_step=f"take --corpus {there[0]}",
        )
    return there[0] if there else USUAL


def _there(data: Path, paths: Iterable[str]) -> List[str]:
    """The corpora that have the first of *paths*."""
    before, found, after = next(iter(paths), "").partition(_PLACE)
    if not found:
        return []
    try:
        names = sorted(each.name for each in (data / before).iterdir())
    except OSError:
        return []
    return [name for name in names if (data / f"{before}{name}{after}").is_dir()]

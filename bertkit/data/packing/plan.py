"""The plan: which sequences make a pack, and which packs make a file, before any is written.

It is made once, from the index alone, and lies on the disk until all files are there, so that any
process on any machine can write any of them: scipy's solver picks one of several equally good
solutions, and another version of it may pick another.
"""

from __future__ import annotations

from pathlib import Path
from typing import Dict, Iterator, NamedTuple, Tuple

import numpy as np

from bertkit.data.chance import Draws
from bertkit.data.packing.index import Index
from bertkit.data.packing.metadata import Tally
from bertkit.data.packing.planning import Planned, plan_packs
from bertkit.data.packing.sequences import Limits
from bertkit.data.packing.strategies import MOST_SEQUENCES, solve
from bertkit.data.records.varints import Array
from bertkit.data.stages.progress import Progress
from bertkit.errors import DataDamaged
from bertkit.files import write_json

#: of a file of packs, about 70 MB at 512 tokens
_PACKS_PER_FILE = 16_384

_NUMBERS = np.dtype("<i8")
_METADATA = "metadata.json"


class Wish(NamedTuple):
    """What a plan depends on besides the records.

    Attributes:
        limits: of a record.
        ranks: the number of files is a multiple of it.
        seed: decides all chance.
        window: sequences that are packed together.
    """

    limits: Limits
    ranks: int
    seed: int
    window: int


class Plan:
    """A plan, counted while it is made.

    Attributes:
        least: how many packs are needed whatever one does.
        files: how many there will be.

    Raises:
        DataDamaged: there may be too few packs for so many ranks.
    """

    def __init__(self, index: Index, wish: Wish, workers: int) -> None:
        self._index, self._wish, self._workers = index, wish, workers
        self._tally = Tally(wish.limits.tokens)
        self.least = least_packs(index, wish.limits)
        self.files = wish.ranks * -(-self.least // (wish.ranks * _PACKS_PER_FILE))
        if self.least < self.files:
            raise DataDamaged(
                f"{index.records} sequences may be too few for {self.files} files of packs",
                where=index.files[0].path.parent,
                why=f"{self.least} packs can hold them, and every rank needs a file of its own",
                next_step="give a smaller --ranks, or more records",
            )

    def packs(self) -> Iterator[Planned]:
        """Packs of the records' numbers, window by window, each in random order."""
        wish = self._wish
        windows = self._index.windows(wish.window, Draws("windows", wish.seed))
        draws = Draws("packs", wish.seed)
        progress = Progress("planning packs", self.least)
        for packs in plan_packs(windows, wish.limits, self._workers):
            self._tally.count(packs.lengths)
            order = draws.order(len(packs.numbers))
            progress.more(len(order))
            yield Planned(packs.numbers[order], packs.lengths[order], packs.late)
        progress.end()

    def counts(self) -> Dict[str, int]:
        """What was planned."""
        return {
            "sequences": self._index.records,
            "packs": self._tally.packs,
            "least_packs": self.least,
            "files": self.files,
            "tokens": self._index.tokens,
        }

    def write(self, tree: Path) -> Dict[str, int]:
        """Make the plan and write it to the directory *tree*; gives its counts."""
        tree.mkdir()
        early, late = _early_and_late(tree)
        with early.open("wb") as first, late.open("wb") as second:
            for packs in self.packs():
                (second if packs.late else first).write(packs.numbers.astype(_NUMBERS).tobytes())
        metadata = self._tally.metadata(self._index.records, self._index.tokens)
        write_json(tree / _METADATA, metadata)
        return self.counts()


def least_packs(index: Index, limits: Limits) -> int:
    """How many packs of three sequences at most are needed whatever one does."""
    return max(1, int(np.ceil(solve(index.histogram, limits.tokens).bound - 1e-6)))


def metadata_of(plan: Path) -> bytes:
    """What upstream's trainer wants to know about the packs of the plan in this directory."""
    return (plan / _METADATA).read_bytes()


def packs_of_file(plan: Path, number: int, files: int, seed: int) -> Array:
    """The packs of file *number* of so many, int64 [packs, 3]: numbers of records, -1 for none.

    A file has a stretch of the early packs, whose sequences stand near one another, and its part
    of the late ones. Files are equal but for one pack.
    """
    early, late = _early_and_late(plan)
    begins, ends = (_edges(early, late, n, files) for n in (number, number + 1))
    rows = [
        np.fromfile(path, _NUMBERS, (end - begin) * MOST_SEQUENCES, offset=begin * _ROW)
        for path, begin, end in zip((early, late), begins, ends)
    ]
    packs = np.concatenate(rows).reshape(-1, MOST_SEQUENCES)
    return packs[Draws("file of packs", seed, number).order(len(packs))]


_ROW = MOST_SEQUENCES * _NUMBERS.itemsize


def _edges(early: Path, late: Path, number: int, files: int) -> Tuple[int, int]:
    """Where file *number* begins in both."""
    first, second = (path.stat().st_size // _ROW for path in (early, late))
    packs = number * (first + second) // files
    # Where there is not an early one for each file, all stand in one row.
    here = number * second // files if first >= files else max(0, packs - first)
    return packs - here, here


def _early_and_late(plan: Path) -> Tuple[Path, Path]:
    return plan / "early", plan / "late"

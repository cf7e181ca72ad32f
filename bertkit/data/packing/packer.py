"""Who makes packs: bertkit itself, window by window."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any, Dict, Iterator, NamedTuple, Optional, Tuple

import numpy as np

from bertkit.data.packing.index import Index
from bertkit.data.packing.metadata import Tally, metadata_path
from bertkit.data.packing.planning import WINDOW, plan_packs
from bertkit.data.packing.sequences import Limits
from bertkit.data.packing.strategies import solve
from bertkit.data.packing.writing import write_packs
from bertkit.data.records.varints import Array
from bertkit.data.stages.progress import Progress
from bertkit.errors import DataDamaged
from bertkit.files import write_json

#: of a file of packs, about 70 MB at 512 tokens
_PACKS_PER_FILE = 16_384

#: changes when the same input and settings lead to other bytes
_RULES = 1


class Request(NamedTuple):
    """What is to be packed, and how.

    Attributes:
        source: a directory of unpacked records, and of nothing else.
        output: the directory of packs.
        limits: of a record; none: those of the first record.
        ranks: the number of files is a multiple of it.
        seed: decides all chance.
        window: sequences that are packed together.
        workers: processes.
    """

    source: Path
    output: Path
    limits: Optional[Limits] = None
    ranks: int = 8
    seed: int = 12345
    window: int = WINDOW
    workers: Optional[int] = None


class Work(NamedTuple):
    """A request whose input is read and checked."""

    request: Request
    limits: Limits
    records: Index
    workers: int


class Packer:
    """Who makes packs; this one is this package.

    Attributes:
        settings: what the result depends on besides the request, by which a stage is known.
        made_with: libraries whose versions are noted.
    """

    settings: Dict[str, Any] = {"engine": "native", "rules": _RULES}
    made_with: Tuple[str, ...] = ("numpy", "scipy")

    def planned(self, work: Work) -> Dict[str, int]:
        """The counts that packing would give."""
        plan = _Plan(work)
        progress = Progress("planning packs", plan.least)
        for packs in plan.windows():
            progress.more(len(packs))
        return plan.counts()

    def write(self, work: Work, tree: Path) -> Dict[str, int]:
        """Write the packs to the directory *tree*, and upstream's metadata beside it.

        Returns:
            counts of sequences, packs, files, tokens and the least number of packs.
        """
        plan = _Plan(work)
        tree.mkdir()
        scratch = tree.parent / "parts"
        scratch.mkdir()
        corpus = work.request.output.resolve().parent.name
        digits = len(str(plan.files - 1))
        paths = [tree / f"{corpus}_packed_{n:0{digits}}.tfrecord" for n in range(plan.files)]
        progress = Progress("writing packs", plan.least)
        write_packs(
            work.records, plan.windows(), work.limits, paths, scratch, work.workers, progress.more
        )
        progress.end()
        shutil.rmtree(str(scratch))
        write_json(
            tree.parent / metadata_path(work.request.output).name,
            plan.tally.metadata(work.records.records, work.records.tokens),
        )
        return plan.counts()


def least_packs(work: Work) -> int:
    """How many packs of three sequences at most are needed whatever one does."""
    bound = solve(work.records.histogram, work.limits.tokens).bound
    return max(1, int(np.ceil(bound - 1e-6)))


class _Plan:
    """The plan of this package, counted while it is carried out."""

    def __init__(self, work: Work) -> None:
        self._work = work
        tokens = work.limits.tokens
        self.tally = Tally(tokens)
        self.least = least_packs(work)
        ranks = work.request.ranks
        self.files = ranks * -(-self.least // (ranks * _PACKS_PER_FILE))
        if self.least < self.files:
            raise DataDamaged(
                f"{work.records.records} sequences may be too few for {self.files} files of packs",
                where=work.request.source,
                why=f"{self.least} packs can hold them, and every rank needs a file of its own",
                next_step="give a smaller --ranks, or more records",
            )

    def windows(self) -> Iterator[Array]:
        """Packs of the records' numbers, window by window, each in random order."""
        index, request = self._work.records, self._work.request
        random = _random(request.seed)
        for packs in plan_packs(index.windows(request.window, random), self._work.limits):
            members = np.unique(packs[packs >= 0])
            lengths = index.lengths(members)[np.searchsorted(members, packs)]
            self.tally.count(np.where(packs >= 0, lengths, 0))
            yield packs[random.permutation(len(packs))]

    def counts(self) -> Dict[str, int]:
        """What was planned."""
        return {
            "sequences": self._work.records.records,
            "packs": self.tally.packs,
            "least_packs": self.least,
            "files": self.files,
            "tokens": self._work.records.tokens,
        }


def _random(seed: int) -> Any:
    """A generator of numpy's whose numbers are fixed for good, whatever the version."""
    digest = hashlib.sha256(b"packs\0%d" % seed).digest()
    return np.random.RandomState(np.frombuffer(digest, dtype="<u4"))

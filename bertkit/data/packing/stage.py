"""``bertkit data pack``: from a directory of records to one of packs, as a stage."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

from bertkit.data.packing.index import Index, index_of
from bertkit.data.packing.metadata import metadata_path
from bertkit.data.packing.noted import index_stage, open_index
from bertkit.data.packing.packer import Packer, Request, Work
from bertkit.data.packing.sequences import Limits, shape_of_first
from bertkit.data.stages.attendance import PATIENCE, Attendance, at_work
from bertkit.data.stages.manifest import Manifest, Stage, carry_out, finished, versions
from bertkit.data.stages.progress import Progress
from bertkit.data.stages.shares import Share
from bertkit.data.stages.waiting import Waiting, carry_out_all_parts
from bertkit.data.stages.workers import cores
from bertkit.errors import BertkitError, DataDamaged, UsageProblem
from bertkit.files import exclusive

#: more processes than this would need more than 1.5 GB: each has about 110 MB at 512 tokens
MOST_WORKERS = 10

#: with more the linear program gets too large: the strategies grow with the square
MOST_TOKENS = 2048


class Packed(NamedTuple):
    """What came out; counts are sequences, packs, files, tokens and the least number of packs."""

    output: Path
    metadata: Path
    state: str  # "made", "was there", or with a dry run "would be made"
    limits: Limits
    counts: Dict[str, int]

    @property
    def efficiency(self) -> Optional[float]:
        """Tokens that are no padding, of all; none if the packs are not known yet."""
        packs = self.counts.get("packs")
        return self.counts["tokens"] / (self.limits.tokens * packs) if packs else None

    @property
    def best_efficiency(self) -> float:
        """What no packing of these lengths, three a pack, can exceed."""
        return self.counts["tokens"] / (self.limits.tokens * self.counts["least_packs"])


def pack(
    request: Request,
    *,
    packer: Optional[Packer] = None,
    dry_run: bool = False,
    share: Share = Share(),  # noqa: B008
    patience: float = PATIENCE,
) -> Packed:
    """Pack a directory of records unless that is done already.

    Args:
        request: what and how.
        packer: who packs; by default this package.
        dry_run: read and plan, say what would come out, and change nothing.
        share: of the work; all shares end when all is done.
        patience: seconds to wait for a share that gives no sign of life.

    Raises:
        DataDamaged: the records are not as they should be.
        UsageProblem: input and output lie in one another.
        BertkitError: another process packs there, files that bertkit did not make are in the way,
            the output cannot be written, a worker was killed, or another share is gone.
    """
    _require_apart(request.source, request.output)
    paths = files_of(request.source)
    limits = request.limits or shape_of_first(paths[0])
    if limits.tokens > MOST_TOKENS:
        raise UsageProblem(
            f"packs of {limits.tokens} tokens cannot be planned",
            why=f"the ways to fill one are too many; {MOST_TOKENS} is the most",
            next_step="give records of a smaller sequence length",
        )
    workers = min(request.workers or cores(), MOST_WORKERS)
    packer = packer or Packer()
    others = Attendance(request.layout, share, patience)
    if dry_run:
        work = Work(request, limits, _read(paths, limits, workers), workers, others)
        done = finished(_stage(work, packer))
        counts = done.counts if done else packer.planned(work)
        return _packed(request, limits, "was there" if done else "would be made", counts)
    layout = request.layout
    with contextlib.ExitStack() as stack:
        stack.enter_context(_told_of_storage(request.output))
        if share.total > 1:
            stack.enter_context(at_work(layout, share))
        if share.number == 0:
            purpose = f"bertkit data pack --output {request.output}"
            stack.enter_context(exclusive(layout.lock, purpose=purpose, wait=False))
        records = _indexed(request, paths, limits, workers, others)
        work = Work(request, limits, records, workers, others)
        stage = _stage(work, packer)
        if share.number > 0:
            manifest, was_there = _helped(work, packer, stage)
        else:
            manifest, was_there = carry_out(stage, layout)
            packer.clear(request)
    return _packed(request, limits, "was there" if was_there else "made", manifest.counts)


def _helped(work: Work, packer: Packer, stage: Stage) -> Tuple[Manifest, bool]:
    """Do a share that is not the first, and wait until the first one has put all in place."""
    manifest = finished(stage)
    if manifest is not None:
        return manifest, True
    packer.help_with(work, stage)
    waiting = Waiting(stage.name, work.others)
    words = "it puts all in place when all files are there"
    return waiting.until(lambda: finished(stage), [0], words), False


def _packed(request: Request, limits: Limits, state: str, counts: Dict[str, int]) -> Packed:
    return Packed(request.output, metadata_path(request.output), state, limits, counts)


def _stage(work: Work, packer: Packer) -> Stage:
    request = work.request
    settings: Dict[str, Any] = {
        **work.limits._asdict(), "ranks": request.ranks, "seed": request.seed,
        "window": request.window, **packer.settings,
    }  # fmt: skip
    return Stage(
        f"packs {request.output.name}",
        request.output,
        {**work.records.hashes, "sequences": f"{work.records.contents:032x}"},
        settings,
        lambda tree: packer.write(work, tree),
        versions(*packer.made_with),
        beside=metadata_path(request.output),
    )


def _read(paths: List[Path], limits: Limits, workers: int) -> Index:
    progress = Progress("reading records")
    try:
        index = index_of(paths, limits, workers, progress.more)
    except OSError as error:
        raise DataDamaged(
            "the records cannot be read",
            where=error.filename or paths[0].parent,
            why=error.strerror or str(error),
            next_step="mend the permissions or the storage, or make the records again",
        ) from None
    progress.end()
    return index


def _indexed(
    request: Request, paths: List[Path], limits: Limits, workers: int, others: Attendance
) -> Index:
    """The first pass, noted on the disk for whoever comes later."""
    place = request.place / "index"
    stage = index_stage(f"index of {request.output.name}", paths, limits, place)
    carry_out_all_parts(stage, request.layout, workers, others)
    return open_index(paths, limits, place)


def files_of(source: Path) -> List[Path]:
    """The files of a directory of records, by name.

    Raises:
        DataDamaged: there are none, or something else lies there.
    """
    if not source.is_dir():
        raise DataDamaged("there is no such directory of records", where=source,
                          next_step="give the directory of unpacked records")  # fmt: skip
    paths = sorted(source.iterdir())
    if not paths:
        raise DataDamaged("the directory of records is empty", where=source,
                          next_step="make the records first")  # fmt: skip
    for path in paths:
        if not path.is_file():
            raise DataDamaged(
                "something that holds no records lies among the records",
                where=path,
                why="upstream reads every file of this directory",
                next_step="move it away",
            )
    return paths


def _require_apart(source: Path, output: Path) -> None:
    here, there = source.resolve(), output.resolve()
    if here == there or here in there.parents or there in here.parents:
        raise UsageProblem(
            "the records and their packs cannot lie in one another",
            where=output,
            why=f"the records are in {source}, and upstream reads every file of either",
            next_step="give another --output",
        )


@contextlib.contextmanager
def _told_of_storage(output: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BertkitError(
            "packs cannot be written",
            where=error.filename or output,
            why=error.strerror or str(error),
            next_step="make room or mend the permissions, and run the same command again",
        ) from None

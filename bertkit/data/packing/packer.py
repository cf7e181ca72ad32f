"""Who makes packs: bertkit itself, file by file."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any, Dict, NamedTuple, Optional, Tuple

from bertkit.data.layout import DataLayout
from bertkit.data.packing.index import Index
from bertkit.data.packing.metadata import metadata_path
from bertkit.data.packing.plan import Plan, Wish, metadata_of
from bertkit.data.packing.planning import WINDOW
from bertkit.data.packing.sequences import Limits
from bertkit.data.packing.writing import files_stage
from bertkit.data.stages.attendance import Attendance
from bertkit.data.stages.manifest import Manifest, Stage, carry_out, finished, versions
from bertkit.data.stages.parts import PartsStage, carry_out_parts, is_done
from bertkit.data.stages.waiting import Waiting, carry_out_all_parts
from bertkit.files import sync_directory, write_atomic

#: changes when the same input and settings lead to other bytes
_RULES = 2


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

    @property
    def layout(self) -> DataLayout:
        """Where the stages' notes and what is unfinished lie."""
        return DataLayout(self.output.parent)

    @property
    def place(self) -> Path:
        """What packing keeps: the index, and the plan and the files until all are there."""
        return self.layout.packing / self.output.name


class Work(NamedTuple):
    """A request whose input is read and checked."""

    request: Request
    limits: Limits
    records: Index
    workers: int
    others: Attendance

    @property
    def wish(self) -> Wish:
        """What the plan depends on besides the records."""
        return Wish(self.limits, self.request.ranks, self.request.seed, self.request.window)


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
        plan = Plan(work.records, work.wish, work.workers)
        for _ in plan.packs():
            pass
        return plan.counts()

    def write(self, work: Work, tree: Path) -> Dict[str, int]:
        """Write the packs to the directory *tree*, and upstream's metadata beside it.

        This is what the first share does; it waits for the files of the others.

        Returns:
            counts of sequences, packs, files, tokens and the least number of packs.
        """
        plan, _ = carry_out(self._plan(work), work.request.layout)
        files = self._files(work, plan)
        carry_out_all_parts(files, work.request.layout, work.workers, work.others)
        tree.mkdir()
        for part in files.parts:
            _place(files.outputs[0].directory / part.files[0], tree / part.files[0])
        sync_directory(tree)
        metadata = tree.parent / metadata_path(work.request.output).name
        write_atomic(metadata, metadata_of(work.request.place / "plan"))
        return plan.counts

    def help_with(self, work: Work, whole: Stage) -> None:
        """Write the files of a share that is not the first; *whole* is what the first one makes."""
        stage = self._plan(work)
        plan = Waiting(stage.name, work.others).until(
            lambda: finished(stage) or finished(whole), [0], "it makes the plan"
        )
        if plan.stage == whole.name:
            return
        files = self._files(work, plan)
        # Files that are missing may be in their place by now: the manifest is written before.
        if not is_done(files, work.request.layout, work.others.share) and not finished(whole):
            carry_out_parts(files, work.request.layout, work.workers, work.others.share)

    def clear(self, request: Request) -> None:
        """Take away what is not needed when the packs are there."""
        for name in ("plan", "files"):
            manifest = DataLayout.manifest(request.place / name)
            if manifest.exists():
                manifest.unlink()
            shutil.rmtree(str(request.place / name), ignore_errors=True)

    def _plan(self, work: Work) -> Stage:
        request = work.request
        return Stage(
            f"plan of {request.output.name}",
            request.place / "plan",
            {"records": work.records.fingerprint},
            {**work.wish._asdict(), **self.settings},
            lambda tree: Plan(work.records, work.wish, work.workers).write(tree),
            versions(*self.made_with),
        )

    def _files(self, work: Work, plan: Manifest) -> PartsStage:
        request = work.request
        sources = [file.path for file in work.records.files]
        corpus = request.output.resolve().parent.name
        return files_stage(
            f"files of {request.output.name}", f"{corpus}_packed", request.place, sources,
            work.wish, plan.counts["files"], f"{plan.fingerprint} {work.records.fingerprint}",
        )  # fmt: skip


def _place(file: Path, name: Path) -> None:
    """Give *file* a second name; it keeps the first, should this be killed before all have one."""
    try:
        os.link(str(file), str(name))
    except OSError:  # a file system without such names
        shutil.copy2(str(file), str(name))
        with name.open("rb") as stream:
            os.fsync(stream.fileno())

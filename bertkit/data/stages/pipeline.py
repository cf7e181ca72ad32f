"""Stages in order, each reading what those before it have made; over several machines if asked."""

from __future__ import annotations

import contextlib
import logging
import time
from pathlib import Path
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Union

from bertkit.data.layout import DataLayout
from bertkit.data.stages.attendance import PATIENCE, Attendance, at_work
from bertkit.data.stages.manifest import Manifest, Stage, carry_out, finished, read_manifest
from bertkit.data.stages.parts import PartsStage, standing
from bertkit.data.stages.shares import Share
from bertkit.data.stages.waiting import Waiting, carry_out_all_parts
from bertkit.errors import BertkitError, EnvironmentUnfit
from bertkit.files import NO_ROOM, exclusive

log = logging.getLogger("bertkit.data")

#: manifests of what is done, by the names of stages and of a stage's outputs
Known = Dict[str, Manifest]
#: gives a step for what is known by then
Maker = Callable[[Known], Union[Stage, PartsStage]]


class Done(NamedTuple):
    """One stage as it stands at the end."""

    stage: str
    output: Path
    state: str  # "made", "was there", or with a dry run "would be made"
    counts: Dict[str, int]


def carry_out_all(
    makers: Sequence[Maker],
    layout: DataLayout,
    workers: int,
    share: Share = Share(),  # noqa: B008
    patience: float = PATIENCE,
) -> List[Done]:
    """Do what is not done; gives all stages in order.

    Of stages in parts each share does its own. The others are done by the first share, and the
    rest wait for it, as it waits for their parts: *patience* seconds from a share's last sign of
    life.

    Raises:
        EnvironmentUnfit: the directory cannot be written.
        BertkitError: there is no room, the directory has files that bertkit did not make, another
            share is gone, or a stage failed.
    """
    try:
        with contextlib.ExitStack() as stack:
            if share.total > 1:
                stack.enter_context(at_work(layout, share))
            if share.number == 0:
                stack.enter_context(
                    exclusive(layout.lock, purpose=f"bertkit data --data {layout.root}")
                )
            others = Attendance(layout, share, patience)
            return _carried_out(makers, layout, workers, share, others)
    except OSError as error:
        kind = BertkitError if error.errno in NO_ROOM else EnvironmentUnfit
        raise kind(
            "the data cannot be written",
            where=error.filename or layout.root,
            why=error.strerror or str(error),
            next_step="make room and run the same command again: what is done is kept"
            if error.errno in NO_ROOM
            else "give a directory that you may write to with --data",
        ) from None


def look_at_all(makers: Sequence[Maker], layout: DataLayout) -> List[Done]:
    """What is done and what would be made; nothing is changed."""
    known: Known = {}
    results = []
    for maker in makers:
        try:
            step = maker(known)
        except KeyError:  # reads what is not made yet
            step = maker(_Unknown(known))
        if isinstance(step, Stage):
            manifest = finished(step)
            if manifest is not None:
                known[step.name] = manifest
            results.append(_looked_at(step.name, step.output, manifest))
            continue
        whole = bool(step.parts) and standing(step, layout) == (len(step.parts),) * 2
        for output in step.outputs:
            manifest = read_manifest(DataLayout.manifest(output.directory)) if whole else None
            if manifest is not None:
                known[output.name] = manifest
            results.append(_looked_at(output.name, output.directory, manifest))
    return results


class _Unknown(Dict[str, Manifest]):
    """Stands for stages that are not done: nothing that reads them can be done either."""

    def __missing__(self, name: str) -> Manifest:
        return Manifest(name, {}, {}, {}, {})


def _looked_at(name: str, output: Path, manifest: Optional[Manifest]) -> Done:
    state = "was there" if manifest else "would be made"
    return Done(name, output, state, manifest.counts if manifest else {})


def _carried_out(
    makers: Sequence[Maker], layout: DataLayout, workers: int, share: Share, others: Attendance
) -> List[Done]:
    known: Known = {}
    results: List[Done] = []
    for maker in makers:
        step = maker(known)
        if isinstance(step, PartsStage):
            results += _parts(step, layout, workers, others, known)
        else:
            results.append(_whole(step, layout, share, others, known))
    return results


def _parts(
    step: PartsStage, layout: DataLayout, workers: int, others: Attendance, known: Known
) -> List[Done]:
    made, manifests = carry_out_all_parts(step, layout, workers, others)
    state = "made" if made else "was there"
    results = []
    for output, manifest in zip(step.outputs, manifests):
        known[output.name] = manifest
        results.append(Done(output.name, output.directory, state, manifest.counts))
    return results


def _whole(step: Stage, layout: DataLayout, share: Share, others: Attendance, known: Known) -> Done:
    if share.number > 0:
        waiting = Waiting(step.name, others)
        there = waiting.until(lambda: finished(step), [0], "it does this stage")
        known[step.name] = there
        return Done(step.name, step.output, "was there", there.counts)
    started = time.monotonic()
    manifest, was_there = carry_out(step, layout)
    known[step.name] = manifest
    if not was_there:
        _say(step.name, manifest.counts, time.monotonic() - started)
    return Done(step.name, step.output, "was there" if was_there else "made", manifest.counts)


def _say(name: str, counts: Dict[str, int], seconds: float) -> None:
    there = ((what, count) for what, count in counts.items() if count)
    told = ", ".join(f"{count:,} {what.replace('_', ' ')}" for what, count in there)
    what, most = max(counts.items(), key=lambda item: item[1])
    rate = f" ({most / max(seconds, 1e-9):,.0f} {what.replace('_', ' ')}/s)" if most > 999 else ""
    log.info("%s: %s in %.1f s%s", name, told, seconds, rate)

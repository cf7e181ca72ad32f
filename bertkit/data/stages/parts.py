"""Stages of many files, each made and noted by itself: what is done stays done.

A part's files are made below ``.bertkit/unfinished`` and renamed into place; then its note is
written, and when all parts have notes, the stage's manifests. So a kill costs the parts under way,
and several machines may each do a share of the parts. Notes lie beside the stage's directories, in
``.bertkit/parts``: upstream reads every file that it finds in a directory of records.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from bertkit.data.layout import DataLayout
from bertkit.data.stages.manifest import Manifest, Outputs, read_manifest, write_manifest
from bertkit.data.stages.progress import Progress
from bertkit.data.stages.shares import Share
from bertkit.data.stages.workers import in_processes
from bertkit.errors import BertkitError
from bertkit.files import sha256_of, sync_directory

log = logging.getLogger("bertkit.data")

Counts = Dict[str, int]


class Output(NamedTuple):
    """One directory of a stage.

    Attributes:
        name: in manifests.
        directory: where the parts' files go.
        settings: what its content depends on.
        hidden: whether it is a place that is bertkit's alone: what else lies there is a leftover.
    """

    name: str
    directory: Path
    settings: Dict[str, Any]
    hidden: bool = False


class Part(NamedTuple):
    """One of a stage's parts.

    Attributes:
        name: of its note.
        inputs: what it is made from -> SHA-256.
        files: a file's name below each output's directory, in the order of the outputs.
        job: what ``make`` gets; must be picklable.
    """

    name: str
    inputs: Dict[str, str]
    files: Tuple[str, ...]
    job: Any


class PartsStage(NamedTuple):
    """A stage in parts.

    Attributes:
        name: of the whole, such as ``records``.
        outputs: its directories; a part has one file in each.
        inputs: of the manifests: what all parts are made from -> SHA-256.
        parts: in order.
        make: ``make(job, paths)`` writes a part's files and gives the counts of each.
        made_with: versions of libraries, for the record only.
    """

    name: str
    outputs: Sequence[Output]
    inputs: Dict[str, str]
    parts: Sequence[Part]
    make: Callable[[Any, Sequence[Path]], Sequence[Counts]]
    made_with: Dict[str, str] = {}


class Carried(NamedTuple):
    """How a stage stands: parts that were there, were made now, are left, and whose those are."""

    there: int
    made: int
    left: int
    owing: List[int]  # numbers of shares
    manifests: Optional[List[Manifest]]  # None while parts are left


def carry_out_parts(
    stage: PartsStage,
    layout: DataLayout,
    workers: int,
    share: Share = Share(),  # noqa: B008
) -> Carried:
    """Make the parts of *share* that are not there yet, and finish the stage if it was the last.

    The caller sees to it that nobody else does the same share.

    Raises:
        BertkitError: files that bertkit did not make are in the way, or a worker was killed.
    """
    mine = share.of(stage.parts)
    made = 0
    place = layout.staging / f"{_slug(stage.name)}.{share.number}-of-{share.total}"
    shutil.rmtree(str(place), ignore_errors=True)  # a kill may have left it
    if not is_done(stage, layout, share):
        missing = [part for part in mine if not _is_done(stage, layout, part)]
        if len(missing) < len(mine):
            there = len(mine) - len(missing)
            log.info("%s: %d of %d parts are there already", stage.name, there, len(mine))
        for output in stage.outputs:
            _make_room(stage, output)
        for _ in _made(stage, layout, missing, workers, place):
            made += 1
    done = [_note(stage, layout, part) for part in stage.parts]
    lacking = [n for n, part in enumerate(stage.parts) if not _is_done(stage, layout, part)]
    manifests = None
    if not lacking:
        manifests = [
            _finish(stage, index, [note for note in done if note is not None])
            for index in range(len(stage.outputs))
        ]
    owing = sorted({number % share.total for number in lacking})
    return Carried(len(mine) - made, made, len(lacking), owing, manifests)


def is_done(stage: PartsStage, layout: DataLayout, share: Share) -> bool:
    """Whether all parts of *share* are there."""
    return all(_is_done(stage, layout, part) for part in share.of(stage.parts))


def standing(stage: PartsStage, layout: DataLayout) -> Tuple[int, int]:
    """How many of the stage's parts are there, of how many."""
    return sum(_is_done(stage, layout, part) for part in stage.parts), len(stage.parts)


def _made(
    stage: PartsStage, layout: DataLayout, parts: Sequence[Part], workers: int, place: Path
) -> Iterator[Part]:
    if not parts:
        return
    progress = Progress(stage.name, len(parts))
    place.mkdir(parents=True)
    try:
        for part in in_processes(_Maker(stage._replace(parts=()), layout, place), parts, workers):
            progress.more(1)
            yield part
    finally:
        shutil.rmtree(str(place), ignore_errors=True)
    progress.end()


class _Maker:
    """Makes one part, in a worker process."""

    def __init__(self, stage: PartsStage, layout: DataLayout, place: Path) -> None:
        self._stage = stage
        self._layout = layout
        self._place = place

    def __call__(self, part: Part) -> Part:
        stage = self._stage
        place = self._place / _slug(part.name)
        place.mkdir()
        try:
            paths = [place / str(index) for index in range(len(stage.outputs))]
            counts = stage.make(part.job, paths)
            described = [_described(path) for path in paths]
            for path, output, name in zip(paths, stage.outputs, part.files):
                final = output.directory / name
                final.parent.mkdir(parents=True, exist_ok=True)
                path.replace(final)
                sync_directory(final.parent)
        finally:
            shutil.rmtree(str(place), ignore_errors=True)
        note = Manifest(
            part.name,
            part.inputs,
            _settings(stage),
            {},
            {
                output.name: {"file": name, "counts": dict(count), **about}
                for output, name, count, about in zip(stage.outputs, part.files, counts, described)
            },
        )
        path = _note_path(stage, self._layout, part)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_manifest(path, note, stage.made_with)
        return part


def _described(path: Path) -> Dict[str, Any]:
    about = path.stat()
    return {
        "bytes": about.st_size,
        "sha256": sha256_of(path),
        "changed_ns": about.st_mtime_ns,  # a rename keeps it
    }


def _settings(stage: PartsStage) -> Dict[str, Any]:
    return {output.name: output.settings for output in stage.outputs}


def _note_path(stage: PartsStage, layout: DataLayout, part: Part) -> Path:
    return layout.root / ".bertkit" / "parts" / _slug(stage.name) / f"{_slug(part.name)}.json"


def _note(stage: PartsStage, layout: DataLayout, part: Part) -> Optional[Manifest]:
    """The part's note, if it is of these inputs and settings."""
    note = read_manifest(_note_path(stage, layout, part))
    if note is None or (note.inputs, note.settings) != (part.inputs, _settings(stage)):
        return None
    return note


def _is_done(stage: PartsStage, layout: DataLayout, part: Part) -> bool:
    """Whether a part is there: its note fits, and its files are those that it describes.

    A large set takes an hour to read, so that sums are made only of files that were touched since.
    """
    note = _note(stage, layout, part)
    if note is None:
        return False
    for output, name in zip(stage.outputs, part.files):
        path, about = output.directory / name, note.outputs[output.name]
        try:
            now = path.stat()
            if now.st_size != about["bytes"]:
                return False
            if now.st_mtime_ns != about["changed_ns"] and sha256_of(path) != about["sha256"]:
                return False
        except (OSError, KeyError):
            return False
    return True


def _finish(stage: PartsStage, index: int, notes: Sequence[Manifest]) -> Manifest:
    """Write the manifest of one output, from the parts' notes."""
    output = stage.outputs[index]
    counts: Counts = {}
    files: Outputs = {}
    for note in notes:
        about = note.outputs[output.name]
        files[about["file"]] = {"bytes": about["bytes"], "sha256": about["sha256"]}
        for what, count in about["counts"].items():
            counts[what] = counts.get(what, 0) + count
    counts["files"] = len(files)
    manifest = Manifest(output.name, stage.inputs, output.settings, counts, files)
    path = DataLayout.manifest(output.directory)
    if read_manifest(path) != manifest:
        write_manifest(path, manifest, stage.made_with)
    return manifest


def _make_room(stage: PartsStage, output: Output) -> None:
    """Take away what an earlier set with other parts left, and its manifest before it is untrue.

    Raises:
        BertkitError: there are files that no manifest of this stage lists.
    """
    output.directory.mkdir(parents=True, exist_ok=True)
    names = {name for part in stage.parts for name in part.files}
    manifest = DataLayout.manifest(output.directory)
    before = read_manifest(manifest)
    ours = set(before.outputs) if before is not None and before.stage == output.name else set()
    there = [path for path in output.directory.rglob("*") if path.is_file()]
    stale = []
    for path in there:
        name = path.relative_to(output.directory).as_posix()
        if name in names:
            continue
        if name not in ours and not output.hidden:
            raise BertkitError(
                f"{stage.name}: there are files that bertkit did not make for it, such as {path}",
                where=output.directory,
                why="bertkit overwrites nothing but its own files, and upstream reads all of them",
                next_step="move them away, or give another directory with --data",
            )
        stale.append(path)
    for path in [*stale, *([manifest] if before is not None else [])]:
        with contextlib.suppress(FileNotFoundError):  # another share does the same
            path.unlink()


def _slug(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name)

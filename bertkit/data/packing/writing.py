"""The second pass: a worker reads the sequences of one file of packs, and writes the file.

Each file is a part of a stage: what is there stays, whoever is killed, and any share of them can be
made on another machine.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Sequence, Tuple

import numpy as np

from bertkit.data.packing.encoding import Member, PackEncoder
from bertkit.data.packing.index import Index, require_unchanged
from bertkit.data.packing.noted import open_index
from bertkit.data.packing.plan import Wish, packs_of_file
from bertkit.data.packing.sequences import Limits, Reader, Sequences
from bertkit.data.records.frames import whole_frames
from bertkit.data.records.tfrecord import write_records
from bertkit.data.records.varints import Array, encode_varints, sums_of_groups
from bertkit.data.stages.manifest import versions
from bertkit.data.stages.parts import Output, Part, PartsStage
from bertkit.data.stages.workers import without_collector
from bertkit.errors import BertkitError, DataDamaged

#: records read in one go
_BATCH = 512


class _Job(NamedTuple):
    """One file, for a worker."""

    number: int
    files: int
    place: Path
    sources: Tuple[Path, ...]
    wish: Wish
    made_from: str


class _Window(NamedTuple):
    """The sequences of one file, in the order in which they stand; packs index them."""

    limits: Limits
    packs: Array  # int64 [packs, 3], -1 for none
    paths: List[Path]
    owners: Array  # int64 [sequences]: index in paths
    begins: Array
    ends: Array
    lengths: Array
    predictions: Array


def files_stage(
    name: str,
    prefix: str,
    place: Path,
    sources: Sequence[Path],
    wish: Wish,
    files: int,
    made_from: str,
) -> PartsStage:
    """The second pass, as a stage with a part for each file of packs.

    Args:
        name: of the stage.
        prefix: of the files' names.
        place: the directory with ``index`` and ``plan``; the files go to ``files`` in it.
        sources: the files of records, as the index has them.
        wish: what the plan was made for.
        files: how many the plan is for.
        made_from: changes if the plan or a record does.
    """
    digits = len(str(files - 1))
    shared = tuple(sources)
    parts = [
        Part(
            str(number),
            {"plan and records": made_from},
            (f"{prefix}_{number:0{digits}}.tfrecord",),
            _Job(number, files, place, shared, wish, made_from),
        )
        for number in range(files)
    ]
    output = Output(name, place / "files", {"files": files}, hidden=True)
    return PartsStage(name, [output], {}, parts, _write_file, versions("numpy"))


@without_collector()
def _write_file(job: _Job, paths: Sequence[Path]) -> List[Dict[str, int]]:
    index = _index(job.sources, job.wish.limits, job.place / "index", job.made_from)
    window = _window_of(job, index)
    members = _members(window)
    encoder = PackEncoder(job.wish.limits)
    packs = write_records(
        paths[0],
        (
            encoder.encode([members[number] for number in row if number >= 0])
            for row in window.packs.tolist()
        ),
    )
    for owner in np.unique(window.owners).tolist():
        path = window.paths[owner]
        require_unchanged(path, index.files[owner].identity)
    return [{"packs": packs, "sequences": len(members)}]


@lru_cache(maxsize=1)
def _index(sources: Sequence[Path], limits: Limits, place: Path, _made_from: str) -> Index:
    return open_index(sources, limits, place)


def _window_of(job: _Job, index: Index) -> _Window:
    packs = packs_of_file(job.place / "plan", job.number, job.files, job.wish.seed)
    numbers = np.unique(packs[packs >= 0])
    local = np.where(packs >= 0, np.searchsorted(numbers, packs), -1)
    paths = [file.path for file in index.files]
    return _Window(job.wish.limits, local, paths, *index.places(numbers), *index.sizes(numbers))


def _members(window: _Window) -> List[Member]:
    """The sequences, each with its predictions counted from the start of its pack."""
    there = window.packs >= 0
    lengths = np.where(there, window.lengths[window.packs], 0)
    offsets = np.zeros(len(window.lengths), dtype=np.int64)
    offsets[window.packs[there]] = (np.cumsum(lengths, axis=1) - lengths)[there]
    members: List[Member] = []
    reader = Reader(window.limits)
    streams: Dict[int, int] = {}
    try:
        for begin in range(0, len(window.lengths), _BATCH):
            batch = slice(begin, begin + _BATCH)
            sequences = _read(window, batch, reader, streams)
            members += _shifted(sequences, offsets[batch])
    finally:
        for descriptor in streams.values():
            os.close(descriptor)
    return members


def _read(window: _Window, batch: slice, reader: Reader, streams: Dict[int, int]) -> Sequences:
    owners, begins, ends = window.owners[batch], window.begins[batch], window.ends[batch]
    lengths, predictions = window.lengths[batch], window.predictions[batch]
    path = window.paths[int(owners[0])]
    pieces = []
    sequences = None
    try:
        for owner, begin, end in _runs(owners, begins, ends):
            if owner not in streams:
                for descriptor in streams.values():
                    os.close(descriptor)
                streams.clear()
                streams[owner] = os.open(str(window.paths[owner]), os.O_RDONLY)
            pieces.append(os.pread(streams[owner], end - begin, begin))
        frames = whole_frames(b"".join(pieces), path, 1)
        if len(frames.edges) > 1:
            sequences = reader.again(frames, lengths, predictions) or reader.read(frames, path)
    except (OSError, DataDamaged):
        pass  # they were whole when they were indexed
    if sequences is None or sequences.lengths.tolist() != lengths.tolist():
        raise BertkitError(
            "the records changed while they were being packed",
            where=path.parent,
            next_step="run the same command again when nothing writes there",
        )
    return sequences


def _runs(owners: Array, begins: Array, ends: Array) -> Iterator[Tuple[int, int, int]]:
    """Records that stand side by side, as one: file, begin and end."""
    apart = (owners[1:] != owners[:-1]) | (begins[1:] != ends[:-1])
    first = np.concatenate([[0], np.flatnonzero(apart) + 1])
    last = np.concatenate([first[1:] - 1, [len(owners) - 1]])
    return zip(owners[first].tolist(), begins[first].tolist(), ends[last].tolist())


def _shifted(sequences: Sequences, offsets: Array) -> List[Member]:
    positions, edges = encode_varints(
        sequences.positions + np.repeat(offsets, sequences.predictions)
    )
    bounds = edges[sums_of_groups(sequences.predictions)].tolist()
    return [
        Member(ids, segments, positions[start:end], predicted, count, label)
        for ids, segments, start, end, predicted, count, label in zip(
            sequences.ids, sequences.segments, bounds, bounds[1:], sequences.predicted,
            sequences.predictions.tolist(), sequences.labels.tolist(),
        )
    ]  # fmt: skip

"""The second pass: windows become parts, and parts are appended to the files of packs.

A worker reads the sequences of one window and writes its packs to a part, sorted by the file that
they go to. The parent appends the parts' pieces in the order of the windows, so that the files do
not depend on which worker was faster.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Callable, Dict, Iterable, Iterator, List, NamedTuple, Tuple

import numpy as np

from bertkit.data.packing.encoding import Member, PackEncoder
from bertkit.data.packing.index import Index
from bertkit.data.packing.sequences import Limits, Reader, Sequences
from bertkit.data.records.frames import framed, whole_frames
from bertkit.data.records.varints import Array, encode_varints, sums_of_groups
from bertkit.data.stages.workers import in_processes
from bertkit.errors import BertkitError, DataDamaged

#: records read in one go
_BATCH = 512


class _Job(NamedTuple):
    """One window, for a worker: packs index the arrays, which hold its sequences in file order."""

    part: Path
    limits: Limits
    packs: Array  # int64 [packs, 3], -1 for none
    targets: Array  # int64 [packs]: the file that each goes to
    files: int
    paths: List[Path]
    owners: Array  # int64 [sequences]: index in paths
    begins: Array
    ends: Array
    lengths: Array


class _Part(NamedTuple):
    """What a worker wrote: the bytes for each file, one after another."""

    path: Path
    sizes: Array
    packs: int


def write_packs(
    index: Index,
    plan: Iterable[Array],
    limits: Limits,
    paths: List[Path],
    scratch: Path,
    workers: int,
    note: Callable[[int], None],
) -> None:
    """Write all packs of a plan, dealt to *paths* in turn.

    Args:
        index: the records.
        plan: packs of their numbers, window by window.
        limits: of one sequence.
        paths: the files; made.
        scratch: an empty directory on the same file system.
        workers: processes.
        note: called with the number of packs of each window that is written.

    Raises:
        BertkitError: the records changed since they were indexed.
    """
    for path in paths:
        path.touch()
    jobs = _jobs(index, plan, limits, len(paths), scratch)
    for part in in_processes(_write_part, jobs, workers):
        _append(part, paths)
        part.path.unlink()
        note(part.packs)
    index.require_unchanged()
    for path in paths:
        with path.open("rb") as stream:
            os.fsync(stream.fileno())


def _jobs(
    index: Index, plan: Iterable[Array], limits: Limits, files: int, scratch: Path
) -> Iterator[_Job]:
    done = 0
    for number, packs in enumerate(plan):
        numbers = np.unique(packs[packs >= 0])
        owners, begins, ends = index.places(numbers)
        used, owners = np.unique(owners, return_inverse=True)
        local = np.where(packs >= 0, np.searchsorted(numbers, packs), -1)
        targets = (done + np.arange(len(packs))) % files
        done += len(packs)
        yield _Job(
            scratch / f"part-{number}", limits, local, targets, files,
            [index.files[owner].path for owner in used], owners, begins, ends,
            index.lengths(numbers),
        )  # fmt: skip


def _write_part(job: _Job) -> _Part:
    members = _members(job)
    encoder = PackEncoder(job.limits)
    order = np.argsort(job.targets, kind="stable")
    contents = (
        encoder.encode([members[index] for index in row if index >= 0])
        for row in job.packs[order].tolist()
    )
    sizes = np.zeros(job.files, dtype=np.int64)
    with job.part.open("wb", buffering=1 << 20) as stream:
        for target, record in zip(job.targets[order].tolist(), framed(contents)):
            stream.write(record)
            sizes[target] += len(record)
    return _Part(job.part, sizes, len(job.packs))


def _members(job: _Job) -> List[Member]:
    """The window's sequences, each with its predictions counted from the start of its pack."""
    there = job.packs >= 0
    lengths = np.where(there, job.lengths[job.packs], 0)
    offsets = np.zeros(len(job.lengths), dtype=np.int64)
    offsets[job.packs[there]] = (np.cumsum(lengths, axis=1) - lengths)[there]
    members: List[Member] = []
    reader = Reader(job.limits)
    streams: Dict[int, int] = {}
    try:
        for begin in range(0, len(job.lengths), _BATCH):
            batch = slice(begin, begin + _BATCH)
            sequences = _read(job, batch, reader, streams)
            members += _shifted(sequences, offsets[batch])
    finally:
        for descriptor in streams.values():
            os.close(descriptor)
    return members


def _read(job: _Job, batch: slice, reader: Reader, streams: Dict[int, int]) -> Sequences:
    owners, begins, ends = job.owners[batch], job.begins[batch], job.ends[batch]
    path = job.paths[int(owners[0])]
    pieces = []
    sequences = None
    try:
        for owner, begin, end in _runs(owners, begins, ends):
            if owner not in streams:
                for descriptor in streams.values():
                    os.close(descriptor)
                streams.clear()
                streams[owner] = os.open(str(job.paths[owner]), os.O_RDONLY)
            pieces.append(os.pread(streams[owner], end - begin, begin))
        frames = whole_frames(b"".join(pieces), path, 1)
        if len(frames.edges) > 1:
            sequences = reader.read(frames, path)
    except (OSError, DataDamaged):
        pass  # they were whole when they were indexed
    if sequences is None or sequences.lengths.tolist() != job.lengths[batch].tolist():
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


def _append(part: _Part, paths: List[Path]) -> None:
    """Copy a part's pieces to the ends of the files, within the kernel."""
    begin = 0
    with part.path.open("rb") as source:
        for path, size in zip(paths, part.sizes.tolist()):
            if not size:
                continue
            with path.open("r+b") as stream:
                stream.seek(0, os.SEEK_END)
                end = begin + size
                while begin < end:
                    sent = os.sendfile(stream.fileno(), source.fileno(), begin, end - begin)
                    if not sent:
                        raise BertkitError("a part of the packs was cut off", where=part.path,
                                           next_step="run the same command again")  # fmt: skip
                    begin += sent

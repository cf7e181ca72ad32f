"""The first pass over the records: every one is checked, and what planning needs is kept.

That is at most eight bytes a record: where it stands, its tokens and its predictions.
"""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, Callable, Dict, Iterator, List, NamedTuple, Tuple

import numpy as np

from bertkit.data.chance import Draws
from bertkit.data.packing.planning import Pool
from bertkit.data.packing.sequences import Limits, Reader, added, sum_of_contents
from bertkit.data.records.frames import read_frames
from bertkit.data.records.varints import Array, sums_of_groups
from bertkit.data.stages.workers import in_processes, without_collector
from bertkit.errors import BertkitError, DataDamaged

#: records that stay together when the order is shuffled, so that they are read in one go
BLOCK = 128


class FileIndex(NamedTuple):
    """One file of records.

    Attributes:
        path: the file.
        identity: changes if the file is written.
        sha256: of the file, in hex.
        edges: uint32 or uint64 [records + 1]: where each frame begins, and the end of the file.
        lengths: uint8 or uint16 [records]: tokens.
        predictions: uint8 or uint16 [records]: masked tokens.
        contents: the sum of the sequences' contents.
    """

    path: Path
    identity: Tuple[int, ...]
    sha256: str
    edges: Array
    lengths: Array
    predictions: Array
    contents: int


class Index:
    """All records of a directory; they are numbered through, file after file."""

    def __init__(self, files: List[FileIndex], limits: Limits) -> None:
        self.files = files
        self.starts = sums_of_groups(np.array([len(file.lengths) for file in files]))
        self._limits = limits
        self.contents = 0
        for file in files:
            self.contents = added(self.contents, file.contents)

    @cached_property
    def histogram(self) -> Array:
        """How many records have so many tokens: int64, from 0 to the most that one may have."""
        counts = np.zeros(self._limits.tokens + 1, dtype=np.int64)
        for file in self.files:
            counts += np.bincount(file.lengths, minlength=len(counts))
        return counts

    @property
    def records(self) -> int:
        """How many there are."""
        return int(self.starts[-1])

    @property
    def tokens(self) -> int:
        """Tokens of all records, without padding."""
        return int((self.histogram * np.arange(len(self.histogram))).sum())

    @property
    def hashes(self) -> Dict[str, str]:
        """The SHA-256 of each file by its name."""
        return {file.path.name: file.sha256 for file in self.files}

    @property
    def fingerprint(self) -> str:
        """A sum over all files."""
        return hashlib.sha256(json.dumps(self.hashes, sort_keys=True).encode("utf-8")).hexdigest()

    def windows(self, size: int, draws: Draws) -> Iterator[Pool]:
        """All records in random order, in windows of about *size*.

        Blocks are shuffled over all files, and then the records within a window.
        """
        begins = [np.arange(0, len(file.lengths), BLOCK) for file in self.files]
        owners = np.repeat(np.arange(len(begins)), [len(each) for each in begins])
        blocks = np.column_stack([owners, np.concatenate(begins)])
        blocks = blocks[draws.order(len(blocks))]
        per_window = max(1, size // BLOCK)
        for begin in range(0, len(blocks), per_window):
            pools = [self._block(*place) for place in blocks[begin : begin + per_window].tolist()]
            window = Pool(*(np.concatenate(parts) for parts in zip(*pools)))
            yield window.take(draws.order(len(window.numbers)))

    def _block(self, number: int, begin: int) -> Pool:
        file = self.files[number]
        end = min(begin + BLOCK, len(file.lengths))
        return Pool(
            np.arange(begin, end) + self.starts[number],
            file.lengths[begin:end].astype(np.int64),
            file.predictions[begin:end].astype(np.int64),
        )

    def sizes(self, numbers: Array) -> Tuple[Array, Array]:
        """Tokens and predictions (int64 each) of these records, ascending numbers."""
        lengths, predictions = (np.empty(len(numbers), np.int64) for _ in range(2))
        for owner, here in self._by_file(numbers):
            local = numbers[here] - self.starts[owner]
            lengths[here] = self.files[owner].lengths[local]
            predictions[here] = self.files[owner].predictions[local]
        return lengths, predictions

    def places(self, numbers: Array) -> Tuple[Array, Array, Array]:
        """Where these records stand, ascending numbers: file, begin and end, int64 each."""
        owners, begins, ends = (np.empty(len(numbers), np.int64) for _ in range(3))
        for owner, here in self._by_file(numbers):
            local = numbers[here] - self.starts[owner]
            owners[here] = owner
            begins[here] = self.files[owner].edges[local]
            ends[here] = self.files[owner].edges[local + 1]
        return owners, begins, ends

    def _by_file(self, numbers: Array) -> Iterator[Tuple[int, slice]]:
        bounds = np.searchsorted(numbers, self.starts)
        for owner in np.flatnonzero(np.diff(bounds)).tolist():
            yield owner, slice(int(bounds[owner]), int(bounds[owner + 1]))


def index_of(paths: List[Path], limits: Limits, workers: int, note: Callable[[int], None]) -> Index:
    """Read and check all records of some files.

    Args:
        paths: the files.
        limits: what each record must have room for.
        workers: processes.
        note: called with the number of records of each file that is done.

    Raises:
        DataDamaged: a record is not as it should be, or a file has none.
    """
    files = []
    for file in in_processes(IndexOne(limits), paths, workers):
        note(len(file.lengths))
        files.append(file)
    return Index(files, limits)


class IndexOne:
    """The work on one file, as one that can be sent to another process."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    @without_collector()
    def __call__(self, path: Path) -> FileIndex:
        """Read and check all of it."""
        reader = Reader(self._limits)
        tokens, most = self._limits
        edges, lengths, predictions, contents, end = [], [], [], 0, 0
        before = identity(path)
        with path.open("rb") as stream:
            hashed = _Hashed(stream)
            for frames in read_frames(hashed, path):  # type: ignore[arg-type]
                sequences = reader.read(frames, path)
                edges.append(np.array(frames.edges[:-1], dtype=np.int64) + end)
                end += frames.edges[-1]
                lengths.append(sequences.lengths.astype(np.min_scalar_type(tokens)))
                predictions.append(sequences.predictions.astype(np.min_scalar_type(most)))
                contents = added(contents, sum_of_contents(sequences))
        if not end:
            raise DataDamaged("a file of records is empty", where=path,
                              next_step="remove it and make the records again")  # fmt: skip
        kind = np.uint32 if end < 1 << 32 else np.uint64
        return FileIndex(
            path, before, hashed.sha256.hexdigest(),
            np.concatenate([*edges, [end]]).astype(kind),
            np.concatenate(lengths), np.concatenate(predictions), contents,
        )  # fmt: skip


class _Hashed:
    """A stream whose SHA-256 is known when it has been read."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.sha256 = hashlib.sha256()

    def read(self, size: int) -> bytes:
        piece = self._stream.read(size)
        self.sha256.update(piece)
        return piece


def identity(path: Path) -> Tuple[int, ...]:
    """What changes if a file is written, and is the same on all machines: size and time."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def require_unchanged(path: Path, before: Tuple[int, ...]) -> None:
    """Raise if a file was written since its :func:`identity` was asked for.

    Raises:
        BertkitError: it was, or it is gone.
    """
    if not path.exists() or identity(path) != before:
        raise BertkitError(
            "the records changed while they were being packed",
            where=path,
            next_step="run the same command again when nothing writes there",
        )

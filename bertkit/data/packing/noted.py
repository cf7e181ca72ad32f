"""The index on the disk: what the first pass found out about each file, which is read once only.

A file has one line of JSON and then its arrays. They are mapped, not read, so that all processes of
a machine have them in memory once.
"""

from __future__ import annotations

import json
import mmap
import os
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Sequence, Tuple

import numpy as np

from bertkit.data.packing.index import FileIndex, Index, IndexOne, identity, require_unchanged
from bertkit.data.packing.sequences import Limits
from bertkit.data.records.varints import Array
from bertkit.data.stages.manifest import versions
from bertkit.data.stages.parts import Output, Part, PartsStage

_ARRAYS = ("edges", "lengths", "predictions")

#: raised when the files below are written otherwise
_FORMAT = 1

#: the line of JSON is filled up to a multiple of it, so that numbers stand at even places
_EVEN = 64


class _Job(NamedTuple):
    path: Path
    limits: Limits
    identity: Tuple[int, ...]


def index_stage(name: str, paths: Sequence[Path], limits: Limits, directory: Path) -> PartsStage:
    """The first pass over files of records, as a stage with a part for each file.

    Args:
        name: of the stage.
        paths: the files.
        limits: what each record must have room for.
        directory: where the index goes.
    """
    output = Output(name, directory, {**limits._asdict(), "format": _FORMAT}, hidden=True)
    parts = []
    for number, path in enumerate(paths):
        found = identity(path)
        inputs = {path.name: " ".join(map(str, found))}
        parts.append(Part(str(number), inputs, (_name(number),), _Job(path, limits, found)))
    return PartsStage(name, [output], {}, parts, _write, versions("numpy"))


def open_index(paths: Sequence[Path], limits: Limits, directory: Path) -> Index:
    """The index of these files, when all parts of :func:`index_stage` are there."""
    return Index([_opened(directory / _name(n), path) for n, path in enumerate(paths)], limits)


def _name(number: int) -> str:
    return f"{number}.index"


def _write(job: _Job, paths: Sequence[Path]) -> List[Dict[str, int]]:
    index = IndexOne(job.limits)(job.path)
    require_unchanged(job.path, job.identity)
    arrays = [getattr(index, name) for name in _ARRAYS]
    about = {
        "sha256": index.sha256,
        "identity": index.identity,
        "contents": f"{index.contents:032x}",
        "arrays": [[array.dtype.str, len(array)] for array in arrays],
    }
    line = json.dumps(about).encode("ascii")
    line += b" " * (-(len(line) + 1) % _EVEN) + b"\n"
    with paths[0].open("wb") as stream:
        for piece in (line, *(array.tobytes() for array in arrays)):
            stream.write(piece)
        stream.flush()
        os.fsync(stream.fileno())
    return [{"records": len(index.lengths)}]


def _opened(noted: Path, path: Path) -> FileIndex:
    with noted.open("rb") as stream:
        line = stream.readline()
        content = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    about: Dict[str, Any] = json.loads(line)
    arrays: List[Array] = []
    begin = len(line)
    for kind, count in about["arrays"]:
        arrays.append(np.frombuffer(content, np.dtype(kind), count, begin))
        begin += arrays[-1].nbytes
    return FileIndex(
        path, tuple(about["identity"]), about["sha256"], arrays[0], arrays[1], arrays[2],
        int(about["contents"], 16),
    )  # fmt: skip

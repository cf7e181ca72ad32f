"""Reads packs, and says which one is not as it should be, or what is missing."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from bertkit.data.layout import DataLayout
from bertkit.data.packing.index import index_of
from bertkit.data.packing.metadata import metadata_path
from bertkit.data.packing.sequences import Limits, added, sum_of_contents
from bertkit.data.packing.stage import files_of
from bertkit.data.packing.strategies import MOST_SEQUENCES
from bertkit.data.packing.unpacking import PackReader
from bertkit.data.records.frames import damaged, read_frames
from bertkit.data.records.tfrecord import decode_example, read_records
from bertkit.data.records.verify import Checked, verify
from bertkit.data.stages.manifest import read_manifest
from bertkit.data.stages.progress import Progress
from bertkit.data.stages.workers import cores, in_processes
from bertkit.errors import BertkitError, DataDamaged


class Contents(NamedTuple):
    """What some packs hold; contents is the sum of the sequences' hashes."""

    packs: int
    sequences: int
    tokens: int
    contents: int


class CheckedPacks(NamedTuple):
    """A directory of packs that is as it should be."""

    directory: Path
    seq_len: int
    files: int
    packs: int
    sequences: int
    tokens: int  # without padding
    compared_with: str  # "source", "manifest" or "nothing": where all sequences are known from


def is_packed(directory: Path) -> bool:
    """Whether *directory* holds packs: there is metadata, or its first record has positions."""
    if metadata_path(directory).exists():
        return True
    first = next((path for path in sorted(directory.iterdir()) if path.is_file()), None)
    if first is None:
        return False
    try:
        return "positions" in decode_example(next(iter(read_records(first)), b""))
    except (BertkitError, ValueError):
        return False


def verify_packs(
    directory: Path, *, source: Optional[Path] = None, workers: Optional[int] = None
) -> CheckedPacks:
    """Check all packs of a directory, and its metadata.

    Args:
        directory: upstream's ``--input_files_dir``.
        source: the unpacked records; by default their sum in bertkit's manifest, if there is one.
        workers: processes.

    Raises:
        DataDamaged: with file, record number and reason; or the metadata tells something else, or
            not every sequence of the source is in the packs exactly once.
    """
    workers = workers or cores()
    directory = directory.resolve()
    limits = _limits(directory)
    found = contents_of_packs(directory, limits, workers)
    _compare_metadata(directory, limits, found)
    compared_with = "nothing"
    manifest = read_manifest(DataLayout.manifest(directory))
    if source is not None:
        index = index_of(files_of(source), limits, workers, Progress("reading records").more)
        _compare(directory, found, index.contents, index.records, str(source))
        compared_with = "source"
    elif manifest is not None and "sequences" in manifest.inputs:
        contents, records = int(manifest.inputs["sequences"], 16), manifest.counts["sequences"]
        _compare(directory, found, contents, records, "what the manifest says")
        compared_with = "manifest"
    return CheckedPacks(
        directory, limits.tokens, len(files_of(directory)), found.packs, found.sequences,
        found.tokens, compared_with,
    )  # fmt: skip


def contents_of_packs(directory: Path, limits: Limits, workers: int) -> Contents:
    """Read and check all packs of a directory.

    Raises:
        DataDamaged: one is not as it should be.
    """
    total = Contents(0, 0, 0, 0)
    progress = Progress("reading packs")
    for found in in_processes(_ReadOne(limits), files_of(directory), workers):
        progress.more(found.packs)
        total = Contents(
            total.packs + found.packs,
            total.sequences + found.sequences,
            total.tokens + found.tokens,
            added(total.contents, found.contents),
        )
    progress.end()
    return total


class _ReadOne:
    """The work on one file, as one that can be sent to another process."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    def __call__(self, path: Path) -> Contents:
        reader = PackReader(self._limits)
        packs = sequences = tokens = contents = 0
        with path.open("rb") as stream:
            for frames in read_frames(stream, path):
                found = reader.read(frames, path)
                packs += len(frames.edges) - 1
                sequences += len(found.ids)
                tokens += int(found.lengths.sum())
                contents = added(contents, sum_of_contents(found))
        if not packs:
            raise DataDamaged("a file of packs is empty", where=path,
                              next_step="remove the packs and make them again")  # fmt: skip
        return Contents(packs, sequences, tokens, contents)


def _limits(directory: Path) -> Limits:
    path = files_of(directory)[0]
    try:
        example = decode_example(next(iter(read_records(path)), b""))
        return Limits(len(example["input_ids"]), len(example["masked_lm_ids"]) - MOST_SEQUENCES)
    except (ValueError, KeyError) as error:
        raise damaged(path, 1, f"it is no Example of pre-training: {error}") from None


def _compare_metadata(directory: Path, limits: Limits, found: Contents) -> None:
    path = metadata_path(directory)
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataDamaged(
            "the metadata of the packs cannot be read",
            where=path,
            why=f"{getattr(error, 'strerror', None) or error}; without it upstream's trainer takes "
            "the packs for unpacked records",
            next_step="make the packs again: bertkit data pack --help",
        ) from None
    for key, value in _expected(limits, found).items():
        there = told.get(key) if isinstance(told, dict) else None
        number = there if isinstance(there, (int, float)) else math.nan
        if not math.isclose(number, value, rel_tol=1e-9, abs_tol=1e-9):
            raise DataDamaged(
                f"the metadata says that {key} is {there}, but it is {value}",
                where=path,
                next_step="make the packs again: bertkit data pack --help",
            )


def _expected(limits: Limits, found: Contents) -> Dict[str, float]:
    room = limits.tokens * found.packs
    return {
        "avg_seq_per_sample": found.sequences / found.packs,
        "new_number_of_samples": found.packs,
        "original_number_of_samples": found.sequences,
        "padding_tokens_packed_dataset": room - found.tokens,
        "packing_efficiency": found.tokens / room,
    }


def _compare(directory: Path, found: Contents, contents: int, records: int, source: str) -> None:
    if found.sequences == records and found.contents == contents:
        return
    same = found.sequences == records
    raise DataDamaged(
        "some sequences are others than in the source" if same
        else f"{found.sequences:,} sequences are in the packs, but {records:,} in the source",
        where=directory,
        why=f"compared with {source}; each must be in the packs exactly once",
        next_step="make the packs again: bertkit data pack --help",
    )  # fmt: skip


def verify_all(
    directory: Path, source: Optional[Path] = None
) -> Tuple[List[Checked], List[CheckedPacks]]:
    """Check whatever lies in *directory*: packs, or a data directory with records and packs.

    Raises:
        DataDamaged: as :func:`verify_packs` and :func:`bertkit.data.records.verify.verify`.
    """
    if source is not None or (directory.is_dir() and is_packed(directory)):
        return [], [verify_packs(directory, source=source)]
    packed = sorted((directory / "tfrecord_packed").glob("seq_len_*/*/training"))
    records = [] if packed and not (directory / "tfrecord").exists() else verify(directory)
    return records, [verify_packs(each) for each in packed if each.is_dir()]


def as_row(checked: CheckedPacks) -> Dict[str, Any]:
    """As a JSON object."""
    return {**checked._asdict(), "directory": str(checked.directory)}

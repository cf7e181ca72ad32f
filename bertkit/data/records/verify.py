"""Reads every record that training would read, and says which one is not as it should be."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Optional

from bertkit.data.instances.tokens import read_vocabulary
from bertkit.data.layout import PREDICTIONS, SPLITS, DataLayout
from bertkit.data.records.frames import damaged
from bertkit.data.records.tfrecord import decode_example, read_records
from bertkit.data.stages.manifest import read_manifest
from bertkit.errors import DataDamaged

_SEQ_LEN = re.compile(r"seq_len_(\d+)")


class Checked(NamedTuple):
    """One directory of records that is as it should be."""

    directory: Path
    seq_len: int
    files: int
    records: int
    tokens: int  # without padding


class RecordRules(NamedTuple):
    """What a record of one directory must be like."""

    seq_len: int
    max_predictions: int
    vocabulary: Dict[str, int]


def verify(root: Path) -> List[Checked]:
    """Check all records below the data directory *root*.

    Raises:
        DataDamaged: with file, record number (from 1) and reason; or there are no records, or
            they cannot be read.
    """
    if not root.is_dir():
        raise DataDamaged(
            "there is no such data directory",
            where=root,
            next_step=f"bertkit data status --data {shlex.quote(str(root))} says what makes it",
        )
    try:
        return _verified_all(root)
    except OSError as error:
        raise _unreadable(error.filename or root, error) from None


def _verified_all(root: Path) -> List[Checked]:
    vocabulary = read_vocabulary(DataLayout(root).vocab)
    results: List[Checked] = []
    for stage in sorted((root / "tfrecord").glob("seq_len_*/*")):
        found = _SEQ_LEN.fullmatch(stage.parent.name)
        if not stage.is_dir() or found is None:
            continue
        seq_len = int(found.group(1))
        predictions = _max_predictions(stage, seq_len)
        rules = RecordRules(seq_len, predictions, vocabulary)
        before = len(results)
        for split in SPLITS:
            if (stage / split).is_dir():
                results.append(_verified(stage / split, rules))
        _compare_counts(stage, results[before:])
    if not results:
        raise DataDamaged(
            "there are no records",
            where=root / "tfrecord",
            next_step=f"bertkit data sample --data {shlex.quote(str(root))} makes a small set",
        )
    return results


def _max_predictions(stage: Path, seq_len: int) -> int:
    manifest = read_manifest(DataLayout.manifest(stage))
    known = PREDICTIONS.get(seq_len, 0)
    return int(manifest.settings.get("max_predictions", known)) if manifest else known


def _verified(directory: Path, rules: RecordRules) -> Checked:
    files = sorted(directory.iterdir())
    records = tokens = 0
    for path in files:
        if path.suffix != ".tfrecord" or not path.is_file():
            raise DataDamaged(
                "a file that holds no records lies among the records",
                where=path,
                why="upstream reads every file of this directory",
                next_step="move it away",
            )
        before = records
        try:
            for number, content in enumerate(read_records(path), start=1):
                tokens += _tokens_of(content, path, number, rules)
                records += 1
        except OSError as error:  # one from reading, unlike one from opening, names no file
            raise _unreadable(path, error) from None
        if records == before:
            raise DataDamaged("a file of records is empty", where=path,
                              next_step="remove it and make the records again")  # fmt: skip
    return Checked(directory, rules.seq_len, len(files), records, tokens)


def _tokens_of(content: bytes, path: Path, number: int, rules: RecordRules) -> int:
    try:
        example = decode_example(content)
    except ValueError as error:
        raise damaged(path, number, f"it is no Example: {error}") from None
    reason = reason_against(example, rules)
    if reason:
        raise damaged(path, number, reason)
    return int(sum(example["input_mask"]))


def _unreadable(where: object, error: OSError) -> DataDamaged:
    return DataDamaged(
        "the data cannot be read",
        where=where,
        why=error.strerror or str(error),
        next_step="mend the permissions or the storage, or make the records again",
    )


def _compare_counts(stage: Path, checked: List[Checked]) -> None:
    manifest = read_manifest(DataLayout.manifest(stage))
    if manifest is None:
        return
    for result in checked:
        there = {p.name for p in result.directory.iterdir()}
        split = result.directory.name
        listed = {n.partition("/")[2] for n in manifest.outputs if n.startswith(f"{split}/")}
        wanted = manifest.counts.get(f"{split}_records")
        if there != listed or wanted != result.records:
            raise DataDamaged(
                f"{result.records} records in {len(there)} files, but {wanted} in {len(listed)} "
                "were written",
                where=result.directory,
                why=f"missing or foreign: {', '.join(sorted(there ^ listed))}"
                if there ^ listed
                else None,
                next_step="run the `bertkit data` command that made them again",
            )


def reason_against(example: Dict[str, List[float]], rules: RecordRules) -> Optional[str]:
    """Why *example* is no unpacked record of upstream's; none if it is one."""
    return next(_reasons(example, rules), None)


def _reasons(example: Dict[str, List[float]], rules: RecordRules) -> Iterator[str]:
    length, predictions = rules.seq_len, rules.max_predictions
    lengths = {
        "input_ids": length,
        "input_mask": length,
        "segment_ids": length,
        "masked_lm_positions": predictions,
        "masked_lm_ids": predictions,
        "masked_lm_weights": predictions,
        "next_sentence_labels": 1,
    }
    if set(example) != set(lengths):
        yield f"it has {', '.join(sorted(example))}; wanted are {', '.join(sorted(lengths))}"
        return
    for name, wanted in lengths.items():
        if len(example[name]) != wanted:
            yield f"{name} has {len(example[name])} values, not {wanted}"
            return
    yield from _reasons_of_tokens(example, rules)
    yield from _reasons_of_predictions(example, rules)


def _reasons_of_tokens(example: Dict[str, List[float]], rules: RecordRules) -> Iterator[str]:
    ids, mask, segments = (example[n] for n in ("input_ids", "input_mask", "segment_ids"))
    used = int(sum(mask))
    if mask != [1] * used + [0] * (rules.seq_len - used):
        yield "input_mask is not ones and then zeros"
        return
    if not all(0 <= token < len(rules.vocabulary) for token in ids):
        yield "input_ids has a number that is not in the vocabulary"
    if any(ids[used:]) or any(segments[used:]):
        yield "the padding is not zero"
    special = rules.vocabulary
    if used < 5 or ids[0] != special["[CLS]"] or ids[used - 1] != special["[SEP]"]:
        yield "input_ids does not begin with [CLS] and end with [SEP]"
        return
    first = int(used - sum(segments))
    if segments[:used] != [0] * first + [1] * (used - first) or not 2 < first < used - 1:
        yield "segment_ids is not zeros for A and then ones for B"
    elif ids[first - 1] != special["[SEP]"]:
        yield "input_ids has no [SEP] where segment A ends"


def _reasons_of_predictions(example: Dict[str, List[float]], rules: RecordRules) -> Iterator[str]:
    positions, labels, weights = (
        example[f"masked_lm_{name}"] for name in ("positions", "ids", "weights")
    )
    used = int(sum(weights))
    if used < 1 or weights != [1.0] * used + [0.0] * (rules.max_predictions - used):
        yield "masked_lm_weights is not ones and then zeros"
        return
    if any(positions[used:]) or any(labels[used:]):
        yield "unused predictions are not zero"
    last = int(sum(example["input_mask"])) - 1
    end_of_a = int(last - sum(example["segment_ids"]))
    in_order = all(a < b for a, b in zip(positions, positions[1:used]))
    if not in_order or not all(0 < p < last and p != end_of_a for p in positions[:used]):
        yield "masked_lm_positions are not in order or not within the segments"
    if not all(0 <= label < len(rules.vocabulary) for label in labels[:used]):
        yield "masked_lm_ids has a number that is not in the vocabulary"
    if example["next_sentence_labels"][0] not in (0, 1):
        yield "next_sentence_labels is neither 0 nor 1"

"""Whether the data that a job needs is there and looks right: checked before any rank starts."""

from __future__ import annotations

import os
from pathlib import Path
from shlex import quote
from typing import List, Optional

from bertkit.errors import BertkitError, DataDamaged
from bertkit.launch.checkpoints import bert_variables
from bertkit.launch.checks import records, sizes, texts
from bertkit.launch.plan import Plan, flag_of

_MAKE_AGAIN = "bertkit data sample --data {data} makes a small set"
_WIKI = "bertkit data wiki --data {data} makes them from all of Wikipedia"
#: what a recipe needs -> the command that brings the real one
_BRING = {
    "task_data": "bertkit data mrpc --data {data} fetches it",
    "train_file": "bertkit data squad --data {data} fetches it",
    "dev_file": "bertkit data squad --data {data} fetches it",
    "vocab": "bertkit data pretrained --data {data} fetches it",
    "training_records": _WIKI,
    "test_records": _WIKI,
}
_VERIFY = "bertkit data verify {data} reads all of it; remove what is damaged and make it again"


def problems(plan: Plan, data: Path) -> List[BertkitError]:
    """What is missing from the data that *plan* needs, or damaged.

    Args:
        plan: of the job.
        data: the data directory, for the commands that make what is missing.
    """
    trouble: List[BertkitError] = []
    named = quote(str(data))
    for name, text in plan.needs.items():
        of_records = name.endswith("_records")
        try:
            why = _unfit(Path(text), records=of_records)
            why = why or texts.unfit(name, Path(text), _vocabulary(plan))
        except OSError as error:
            why = error.strerror or str(error)
        if why is not None:
            bring = f"{_BRING[name]}; " if name in _BRING else ""
            next_step = (bring + _MAKE_AGAIN).format(data=named)
            trouble.append(DataDamaged(f"{_words(name)}: {why}", where=text, next_step=next_step))
            continue
        changed = sizes.unlike(Path(text), data)
        if changed:
            trouble.append(_changed(name, changed, named))
        elif of_records:
            training = name == "training_records"
            trouble += _record_problems(
                plan, name, Path(text), named, plan.ranks if training else 1
            )
    return trouble


def _changed(name: str, changed: List[sizes.Unlike], data: str) -> DataDamaged:
    """Files are not as long as their manifest says: cut off, lost, or written to since."""
    more = f" (and {len(changed) - 1} more)" if len(changed) > 1 else ""
    again = "bertkit data pack, as before"
    if "tfrecord_packed" not in changed[0].file.parts:
        again = "; ".join(filter(None, [_BRING.get(name), _MAKE_AGAIN])).format(data=data)
    return DataDamaged(
        f"{_words(name)}: a file is not as it was made{more}",
        where=changed[0].file,
        why=str(changed[0]),
        next_step=f"run again what made it: {again}",
    )


def _unfit(path: Path, *, records: bool) -> Optional[str]:
    """Why *path* is no use to the job; None if it is.

    Raises:
        OSError: it cannot be looked at.
    """
    if not path.exists():
        return "not there"
    if records and not path.is_dir():
        return "not a directory"
    if path.is_dir():
        return None if any(path.iterdir()) else "empty"
    return None if os.access(path, os.R_OK) else "not readable"


def _record_problems(
    plan: Plan, name: str, directory: Path, data: str, ranks: int
) -> List[BertkitError]:
    files = sorted(path for path in directory.iterdir() if path.is_file())
    for words, bad in (
        ("empty", [path for path in files if path.stat().st_size == 0]),
        ("unreadable", [path for path in files if not os.access(path, os.R_OK)]),
    ):
        if bad:
            return [
                DataDamaged(
                    f"{len(bad)} {words} files among the {_words(name)}",
                    where=bad[0],
                    next_step=f"remove them and make them again: bertkit data status --data {data} "
                    "says with what",
                )
            ]
    if len(files) < ranks:
        # Upstream deals whole files to ranks; with too few it only warns, and gives all ranks
        # the same file (run_pretraining.py, "OVERFIT test").
        return [
            DataDamaged(
                f"{len(files)} files of {_words(name)} for {ranks} ranks",
                where=directory,
                why="upstream deals whole files to ranks",
                next_step=f"take --cards {max(1, len(files))}, or make more files",
            )
        ]
    return _content_problems(plan, name, directory, data, files)


def _content_problems(
    plan: Plan, name: str, directory: Path, data: str, files: List[Path]
) -> List[BertkitError]:
    """The first records of a few files, and a pack's metadata."""
    length, predictions = (
        flag_of(plan, flag) for flag in ("max_seq_length", "max_predictions_per_seq")
    )
    vocabulary = _vocabulary(plan)
    if length is None or predictions is None or vocabulary is None:
        return []
    metadata = records.metadata_of(directory)
    packed = name == "training_records" and metadata.exists()
    shape = records.Shape(int(length), int(predictions), vocabulary, packed)
    why = records.unfit_metadata(metadata) if packed else None
    why = why or records.unfit(files, shape)
    if why is None:
        return []
    return [
        DataDamaged(
            f"{_words(name)}: not what the job reads",
            where=directory,
            why=why,
            next_step=_VERIFY.format(data=data),
        )
    ]


def _vocabulary(plan: Plan) -> Optional[int]:
    """How many tokens the model has, where its configuration can be read."""
    try:
        config = bert_variables.read_config(Path(flag_of(plan, "bert_config_file") or ""))
        return int(config["vocab_size"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _words(name: str) -> str:
    return name.replace("_", " ")

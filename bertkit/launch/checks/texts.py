"""A look at the texts that fine-tuning reads: vocabulary, MRPC's tables, SQuAD's questions."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_MOST_BYTES = 16 << 20
#: run_classifier.py's MrpcProcessor: the label, two ids that it does not use, two sentences
_MRPC_COLUMNS = 5


def unfit(name: str, path: Path, vocabulary: Optional[int]) -> Optional[str]:
    """Why the text at *path*, the job's need *name*, is no use; None if it is.

    Args:
        name: as the recipe calls it.
        path: a file, or MRPC's directory.
        vocabulary: how many tokens the model has, if that is known.

    Raises:
        OSError: it cannot be read.
    """
    if name == "vocab":
        return _vocabulary(path, vocabulary)
    if name == "task_data":
        return next(filter(None, map(_table, (path / "train.tsv", path / "dev.tsv"))), None)
    return _json(path) if path.suffix == ".json" and name.endswith("_file") else None


def _vocabulary(path: Path, size: Optional[int]) -> Optional[str]:
    with path.open("rb") as stream:
        tokens = stream.read(_MOST_BYTES).decode("utf-8", "replace").splitlines()
    lacking = sorted(set(_SPECIAL) - set(tokens))
    if lacking:
        return f"it has no {' and no '.join(lacking)}"
    if size is not None and len(tokens) > size:
        return f"it has {len(tokens)} tokens, the model has {size}"
    return None


def _table(path: Path) -> Optional[str]:
    if not path.is_file():
        return f"{path.name} is not there"
    with path.open("rb") as stream:
        head, first = stream.readline(_MOST_BYTES), stream.readline(_MOST_BYTES)
    columns = head.count(b"\t") + 1
    if columns != _MRPC_COLUMNS:
        return f"{path.name} has {columns} columns, not {_MRPC_COLUMNS}"
    return None if first.strip() else f"{path.name} has a heading only"


def _json(path: Path) -> Optional[str]:
    """Only its ends are read: a file that is cut off has no closing brace."""
    with path.open("rb") as stream:
        start = stream.read(64).lstrip()
        stream.seek(max(0, path.stat().st_size - 64))
        end = stream.read().rstrip()
    if not start.startswith(b"{"):
        return "it is no JSON object"
    return None if end.endswith(b"}") else "it is cut off: it does not end as JSON does"

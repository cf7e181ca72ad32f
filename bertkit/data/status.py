"""What lies in a data directory: which stages are done, which are not, and what makes them."""

from __future__ import annotations

import shlex
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Tuple

from bertkit.data.layout import PREDICTIONS, DataLayout
from bertkit.data.samples.sources import DUMP_SHA256, SAMPLE_STAGES
from bertkit.data.stages.manifest import read_manifest


@dataclass(frozen=True)
class Standing:
    """One stage or set of files.

    Attributes:
        what: its name for people.
        where: its file or directory.
        state: ``there`` (with its manifest), ``without a manifest`` (made by another tool, or under
            way), ``in part`` or ``missing``.
        counts: what its manifest counts, or the files that there are.
        bytes: of all its files by the manifest; where there is none, as they lie there.
        command: what makes it.
    """

    what: str
    where: Path
    state: str
    counts: Mapping[str, int]
    bytes: int
    command: str

    def as_dict(self) -> Dict[str, Any]:
        """The same as JSON values."""
        return {**asdict(self), "where": str(self.where), "counts": dict(self.counts)}


def look(root: Path) -> List[Standing]:
    """How everything below the data directory *root* stands; only manifests are read."""
    data = shlex.quote(str(root))
    layout = DataLayout(root)
    by_sample = _made_by_sample(layout)
    return [
        _standing(what, where, f"bertkit data {by_sample(where, command)} --data {data}")
        for what, where, command in _kinds(layout)
    ]


def _made_by_sample(layout: DataLayout) -> Callable[[Path, str], str]:
    """Gives ``sample`` in the place of the command for what ``data sample`` has made or would."""
    text = read_manifest(DataLayout.manifest(layout.extracted))
    is_sample_text = text is not None and text.inputs.get("dump") == DUMP_SHA256

    def by_sample(where: Path, command: str) -> str:
        if command.startswith("wiki"):
            return "sample" if is_sample_text else command
        manifest = read_manifest(DataLayout.manifest(where))
        return "sample" if manifest is not None and manifest.stage in SAMPLE_STAGES else command

    return by_sample


def _kinds(layout: DataLayout) -> List[Tuple[str, Path, str]]:
    packed = [
        (f"packed {length}", layout.packed_training_records(length), f"pack --seq-length {length}")
        for length in PREDICTIONS
    ]
    return [
        ("vocabulary", layout.vocab.parent, "pretrained"),
        ("extracted text", layout.extracted, "wiki --until extract"),
        ("articles", layout.formatted, "wiki --until format"),
        ("sentences", layout.sharded, "wiki --until shard"),
        *((f"records {length}", layout.tfrecord(length), "wiki") for length in PREDICTIONS),
        *packed,
        ("MRPC", layout.mrpc, "mrpc"),
        ("SQuAD", layout.squad, "squad"),
    ]


def _standing(what: str, where: Path, command: str) -> Standing:
    manifest = read_manifest(DataLayout.manifest(where))
    if manifest is None:
        files = [path for path in _files(where) if path.is_file()]
        state = "without a manifest" if files else "missing"
        counts = {"files": len(files)} if files else {}
        total = sum(path.stat().st_size for path in files)
        return Standing(what, where, state, counts, total, command)
    there = sum((where / name if name else where).is_file() for name in manifest.outputs)
    state = "there" if there == len(manifest.outputs) else "in part"
    total = sum(int(about["bytes"]) for about in manifest.outputs.values())
    counts = manifest.counts if state == "there" else {"files": there}
    return Standing(what, where, state, counts, total, command)


def _files(where: Path) -> List[Path]:
    return [where] if where.is_file() else list(where.rglob("*"))

"""What to pack and where to, from directories given or from a data directory."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Optional

from bertkit.data.layout import DataLayout
from bertkit.data.packing.packer import Request
from bertkit.data.packing.sequences import Limits, shape_of_first
from bertkit.data.packing.stage import files_of
from bertkit.errors import DataDamaged, UsageProblem

#: phase -> sequence length, as upstream has it
_LENGTHS = {1: 128, 2: 512}


def request_for(
    source: Optional[Path],
    output: Optional[Path],
    root: Optional[Path],
    phase: Optional[int],
    seq_length: Optional[int],
    corpus: Optional[str],
    max_seq_length: Optional[int],
    max_predictions_per_seq: Optional[int],
    ranks: int,
    seed: int,
    window: int,
    workers: Optional[int],
) -> Request:
    """The options of ``bertkit data pack`` as one object.

    Raises:
        UsageProblem: they do not go together.
        DataDamaged: the records that the lengths are taken from are not there, or damaged.
    """
    if root is not None:
        if source or output or (phase is None) == (seq_length is None):
            raise UsageProblem(
                "--data goes with one of --phase and --seq-length, and without IN_DIR and --output",
                next_step="bertkit data pack --data DIR --phase 2",
            )
        length = seq_length or _LENGTHS[phase or 0]
        layout = DataLayout(root, corpus or _only_corpus(root, length))
        source, output = layout.training_records(length), layout.packed_training_records(length)
    elif source is None or output is None or phase or seq_length or corpus:
        raise UsageProblem(
            "give IN_DIR and --output, or --data and --phase",
            next_step="bertkit data pack IN_DIR --output OUT_DIR",
        )
    limits = None
    if max_seq_length and max_predictions_per_seq:
        limits = Limits(max_seq_length, max_predictions_per_seq)
    elif max_seq_length or max_predictions_per_seq:
        first = shape_of_first(files_of(source)[0])
        limits = Limits(
            max_seq_length or first.tokens, max_predictions_per_seq or first.predictions
        )
    return Request(source, output, limits, ranks, seed, window, workers)


def _only_corpus(root: Path, length: int) -> str:
    place = root / "tfrecord" / f"seq_len_{length}"
    found = sorted(path.parent.name for path in place.glob("*/training"))
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageProblem(
            f"there are records of {len(found)} corpora",
            where=place,
            next_step=f"give one of them: --corpus {found[0]}",
        )
    raise DataDamaged("there are no training records of this length", where=place,
                      next_step=f"bertkit data status --data {shlex.quote(str(root))} "
                      "says what is there and what makes the rest")  # fmt: skip

"""Text in upstream's layout as it lies there, whoever made it: a stage goes on from it."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, Sequence, Tuple

from bertkit.data.layout import SPLITS, DataLayout
from bertkit.data.stages.manifest import Manifest, describe_files
from bertkit.errors import DataDamaged


def text_there(layout: DataLayout, stage: str) -> Manifest:
    """What a manifest of this text would say; where bertkit made it, it is the same.

    Args:
        layout: the data directory.
        stage: which text: ``extracted``, ``articles`` or ``sentences``.

    Raises:
        DataDamaged: there is none, or its files are not named as upstream names them.
    """
    places: Dict[str, Tuple[Path, str]] = {
        "extracted": (layout.extracted, "extract"),
        "articles": (layout.formatted, "format"),
        "sentences": (layout.sharded, "shard"),
    }
    place, maker = places[stage]
    outputs = {name: about for name, about in describe_files(place).items() if about["bytes"]}
    if not outputs:
        raise DataDamaged(
            "there is no text to go on from",
            where=place,
            next_step=f"`bertkit data wiki --until {maker}` or upstream's bertPrep.py makes it",
        )
    if stage == "sentences":
        _check_names(layout, list(outputs))
    return Manifest(stage, {}, {}, {}, outputs)


def _check_names(layout: DataLayout, names: Sequence[str]) -> None:
    for split in SPLITS:
        found = sorted(name for name in names if name.startswith(f"{split}/"))
        wanted = sorted(layout.shard_name(split, number) for number in range(len(found)))
        if found != wanted or not found:
            odd = sorted(set(found) ^ set(wanted)) or [layout.shard_name(split, 0)]
            raise DataDamaged(
                f"the files of {split} text are not numbered from 0 without a gap",
                where=layout.sharded / odd[0],
                why="a file is missing, empty, or named otherwise than upstream names it",
                next_step="make the shards again, or move away what is none",
            )

"""What a run starts from: a checkpoint of the job before, a pretrained model, or nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import List, Optional, Tuple

from bertkit.errors import DataDamaged, UsageProblem
from bertkit.launch.checkpoints import checkpoint as checkpoints
from bertkit.launch.recipes.recipe import Recipe
from bertkit.launch.running import record
from bertkit.resources import shipped

#: the pretrained models, as upstream's README downloads them
PRETRAINED = {"large": "wwm_uncased_L-24_H-1024_A-16", "base": "uncased_L-12_H-768_A-12"}
_WEIGHTS = "bert_model.ckpt"
_SHAPE = (
    "hidden_size", "intermediate_size", "num_attention_heads", "num_hidden_layers", "vocab_size",
)  # fmt: skip


@dataclass(frozen=True)
class Start:
    """What a run starts from.

    Attributes:
        checkpoint: its prefix; None: random weights, or the run's own checkpoint.
        model: the pretrained model's directory, whose configuration and vocabulary belong to the
            weights; None: the recipe's.
        remarks: on the choice.
    """

    checkpoint: Optional[Path] = None
    model: Optional[Path] = None
    remarks: Tuple[str, ...] = ()


def find(recipe: Recipe, model: str, data: Path, output: Path, asked: str) -> Start:
    """What to start from: as asked, or the newest whole checkpoint of the job before.

    Args:
        recipe: the job.
        model: ``large``, ``base`` or ``tiny``.
        data: the data directory, with ``pretrained/`` in it.
        output: the run's output directory; the job before lies beside it.
        asked: a prefix, ``none``, ``pretrained`` or ``auto``: the job before, else, for
            fine-tuning, the pretrained model.

    Raises:
        DataDamaged: there is none, or only half of one.
        UsageProblem: the pretrained model is not for this job or model.
    """
    if asked == "none" or (asked == "auto" and recipe.starts_from is None):
        return Start()
    if asked == "pretrained":
        return _pretrained(recipe, model, data)
    if asked != "auto":
        found = checkpoints.inspect(Path(asked).expanduser().absolute())
        place = _place(model, data)
        if place is not None and found.prefix == place / _WEIGHTS:
            return _pretrained(recipe, model, data)  # by its name, as a rerun has it
        return Start(found.prefix)
    assert recipe.starts_from is not None
    before = output.parent / recipe.starts_from
    remarks: List[str] = []
    newest = checkpoints.newest(before, remarks)
    if newest is not None:
        earlier = record.read(before)
        if earlier is not None and earlier["state"] != "done":
            remarks.append(
                f"{recipe.starts_from} is not finished ({earlier['state']}): step {newest.step}"
            )
        remarks.append(f"starts from {recipe.starts_from}'s step {newest.step}")
        return Start(newest.prefix, remarks=tuple(remarks))
    if recipe.fine_tunes and _place(model, data) is not None:
        return _pretrained(recipe, model, data)
    missing = DataDamaged(
        f"no checkpoint of {recipe.starts_from} to start from",
        where=before,
        next_step=f"train {recipe.starts_from} first, or name one: --init-checkpoint PREFIX",
    )
    if recipe.fine_tunes and model in PRETRAINED:
        missing.why = f"nor is there a pretrained model: {data / 'pretrained' / PRETRAINED[model]}"
        missing.next_step = f"{missing.next_step}; bertkit data pretrained fetches Google's"
    raise missing


def resumed(recipe: Recipe, model: str, data: Path, output: Path) -> Start:
    """For a run that goes on from its own checkpoint: the pretrained model that it began with."""
    earlier = record.read(output) or {}
    began = earlier.get("plan", {}).get("starts_from")
    place = _place(model, data)
    if place is None or began != str(place / _WEIGHTS):
        return Start()
    return Start(model=_pretrained(recipe, model, data).model)


def _pretrained(recipe: Recipe, model: str, data: Path) -> Start:
    if model not in PRETRAINED:
        raise UsageProblem(
            f"there is no pretrained {model} model",
            why=f"there are: {', '.join(PRETRAINED)}",
            next_step="take --init-checkpoint none, or name one: --init-checkpoint PREFIX",
        )
    place = data / "pretrained" / PRETRAINED[model]
    for name in ("bert_config.json", "vocab.txt"):
        if not (place / name).is_file():
            raise DataDamaged(
                f"the pretrained {model} model is not there",
                where=place / name,
                next_step=f"bertkit data pretrained --data {data}",
            )
    _refuse_other_shape(place / "bert_config.json", model)
    if not recipe.fine_tunes:
        _refuse_other_vocabulary(place / "vocab.txt", data / "vocab" / "uncased" / "vocab.txt")
    found = checkpoints.inspect(place / _WEIGHTS)
    said = f"starts from the pretrained model {place.name}, with its configuration and vocabulary"
    return Start(found.prefix, place, (said,))


def _place(model: str, data: Path) -> Optional[Path]:
    """The pretrained model's directory, if there is one."""
    place = data / "pretrained" / PRETRAINED.get(model, "")
    return place if model in PRETRAINED and place.is_dir() else None


def _refuse_other_shape(config: Path, model: str) -> None:
    ours = json.loads((shipped("launchers") / "models" / f"{model}.json").read_text())
    try:
        theirs = json.loads(config.read_text(encoding="utf-8"))
        differ = [
            f"{key} {theirs[key]}, not {ours[key]}" for key in _SHAPE if theirs[key] != ours[key]
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        differ = [f"{type(error).__name__}: {error}"]
    if differ:
        raise DataDamaged(
            f"the pretrained model is no {model} model",
            where=config,
            why="; ".join(differ),
            next_step="bertkit data pretrained fetches Google's, or name the right --model",
        )


def _refuse_other_vocabulary(theirs: Path, ours: Path) -> None:
    if ours.is_file() and ours.read_bytes() != theirs.read_bytes():
        raise UsageProblem(
            "the pretrained model has another vocabulary than the records",
            where=theirs,
            why=f"they were made with {ours}",
            next_step="make the records with the model's vocabulary, or start from none",
        )

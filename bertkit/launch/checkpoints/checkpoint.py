"""Checkpoints on disk: which are whole, and which is the newest."""

from __future__ import annotations

import contextlib
import glob
import re
from dataclasses import dataclass
from pathlib import Path
from typing import List, Optional, Tuple

from bertkit.errors import DataDamaged
from bertkit.launch.checkpoints import bert_variables
from bertkit.launch.checkpoints.tensor_bundle import Bundle, NotABundle, read_index

_STEP = re.compile(r"-(\d+)$")
_PART = re.compile(r"\.(index|meta|data-\d+-of-\d+)$")
_LAYER = re.compile(r"bert/encoder/layer_\d+/")
_EMBEDDINGS = "bert/embeddings/word_embeddings"


@dataclass(frozen=True)
class Checkpoint:
    """A whole checkpoint: its prefix, as TensorFlow takes it, and its step if it has one."""

    prefix: Path
    step: Optional[int]
    bundle: Bundle


def inspect(prefix: Path) -> Checkpoint:
    """Check that every part of the checkpoint *prefix* is there and long enough.

    Raises:
        DataDamaged: says which part is missing or cut off.
    """
    prefix = prefix.with_name(_PART.sub("", prefix.name))  # a part's name stands for the whole
    index = prefix.with_name(prefix.name + ".index")
    if prefix.is_dir() or not list(prefix.parent.glob(glob.escape(prefix.name) + ".*")):
        raise DataDamaged(
            "no checkpoint of that name",
            where=prefix,
            why="it is a directory" if prefix.is_dir() else None,
            next_step=_neighbours(prefix / "any" if prefix.is_dir() else prefix),
        )
    if not index.is_file():
        raise _damaged(prefix, f"{index.name} is missing", _neighbours(prefix))
    try:
        bundle = read_index(index)
        least = bundle.shard_sizes()
    except (NotABundle, OSError) as error:
        raise _damaged(prefix, f"{index.name}: {error}", _neighbours(prefix)) from None
    for number, size in enumerate(least):
        shard = prefix.with_name(f"{prefix.name}.data-{number:05d}-of-{bundle.shards:05d}")
        if not shard.is_file():
            raise _damaged(prefix, f"{shard.name} is missing", _neighbours(prefix))
        actual = shard.stat().st_size
        if actual < size:
            raise _damaged(
                prefix, f"{shard.name} has {actual} of {size} bytes", _neighbours(prefix)
            )
        try:
            _read_ends(shard, size)
        except OSError as error:
            why = f"{shard.name}: {error.strerror or error}"
            raise _damaged(prefix, why, _neighbours(prefix)) from None
    match = _STEP.search(prefix.name)
    return Checkpoint(prefix, int(match.group(1)) if match else None, bundle)


def _read_ends(path: Path, size: int) -> None:
    """Read the first and the last byte: permissions and storage let us."""
    with path.open("rb") as stream:
        for position in (0, size - 1) if size else ():
            stream.seek(position)
            if not stream.read(1):
                raise OSError(f"byte {position} cannot be read")


def newest(directory: Path, passed_over: Optional[List[str]] = None) -> Optional[Checkpoint]:
    """The newest whole checkpoint in *directory*; None where there is no trace of one.

    Args:
        directory: where checkpoints lie.
        passed_over: gets a line for each newer one that is not whole.

    Raises:
        DataDamaged: there are checkpoints, and none of them is whole.
    """
    failures: List[DataDamaged] = []
    for prefix in _prefixes(directory):
        try:
            found = inspect(prefix)
        except DataDamaged as error:
            failures.append(error)
            continue
        if passed_over is not None:
            passed_over += [f"passed over {each.where}: {each.why}" for each in failures]
        return found
    if failures:
        raise failures[0]
    return None


def wholes(directory: Path) -> List[Checkpoint]:
    """The whole checkpoints in *directory*, newest first."""
    found = []
    for prefix in _prefixes(directory):
        with contextlib.suppress(DataDamaged):
            found.append(inspect(prefix))
    return found


def fits(checkpoint: Checkpoint, bert_config: Path) -> Optional[str]:
    """Why *checkpoint* cannot start a model of *bert_config*; None if it can.

    Every variable of embeddings, layers and pooler must be there with its shape: upstream takes
    those that it finds and leaves the others at random, without a word.
    """
    config = bert_variables.read_config(bert_config)
    wanted = bert_variables.encoder(config)
    there = checkpoint.bundle.tensors
    tensor = there.get(_EMBEDDINGS)
    if tensor is None:
        return f"it has no {_EMBEDDINGS}: not a BERT checkpoint"
    if tensor.shape != wanted[_EMBEDDINGS]:
        return (
            f"its vocabulary and width are {_shape(tensor.shape)}, "
            f"the model's are {_shape(wanted[_EMBEDDINGS])}"
        )
    layers = {match.group() for match in map(_LAYER.match, there) if match}
    if len(layers) != config["num_hidden_layers"]:
        return f"it has {len(layers)} layers, the model has {config['num_hidden_layers']}"
    lacking = [name for name in wanted if name not in there]
    if lacking:
        return f"it has no {lacking[0]}" + (
            f" and {len(lacking) - 1} more of the model's" if len(lacking) > 1 else ""
        )
    for name, shape in wanted.items():
        if there[name].shape != shape:
            return f"its {name} is {_shape(there[name].shape)}, the model's is {_shape(shape)}"
    return None


def require_fit(prefix: Path, bert_config: Path) -> None:
    """Check that the checkpoint *prefix* is whole and starts a model of *bert_config*.

    Raises:
        DataDamaged: it is not, or does not.
    """
    why = fits(inspect(prefix), bert_config)
    if why:
        raise DataDamaged("the checkpoint does not fit its model", where=prefix, why=why)


def _shape(shape: Tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "a single number"


def leftovers(directory: Path) -> bool:
    """Whether *directory* holds checkpoints, whole or not, of rank 0."""
    return bool(_prefixes(directory) or _prefixes(directory / "worker_0"))


def of_run(output: Path) -> Optional[Checkpoint]:
    """The newest whole checkpoint of a run.

    ``run_pretraining.py`` writes rank 0's into the output directory, the fine-tuning scripts
    into ``worker_0`` when there are several ranks.
    """
    return newest(output) or newest(output / "worker_0")


def _prefixes(directory: Path) -> List[Path]:
    """Whatever looks like a checkpoint, newest step first, also where its index is missing."""
    names = set()
    for pattern in ("model.ckpt-*.index", "model.ckpt-*.data-*"):
        for path in directory.glob(pattern):
            names.add(re.sub(r"\.(index|data-.*)$", "", path.name))
    numbered = [(int(match.group(1)), name) for name in names
                for match in [_STEP.search(name)] if match]  # fmt: skip
    return [directory / name for _, name in sorted(numbered, reverse=True)]


def _neighbours(prefix: Path) -> str:
    others = [path for path in _prefixes(prefix.parent) if path != prefix]
    for other in others:
        index = other.with_name(other.name + ".index")
        if index.is_file():
            return f"--init-checkpoint {other}"
    return "name another: --init-checkpoint DIRECTORY/model.ckpt-N"


def _damaged(prefix: Path, why: str, next_step: str) -> DataDamaged:
    return DataDamaged("half a checkpoint", where=prefix, why=why, next_step=next_step)

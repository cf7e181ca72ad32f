"""What a killed run leaves among its checkpoints, put out of TensorFlow's way before it goes on.

TensorFlow goes on from what a directory's ``checkpoint`` file names, and from nothing at all where
that is missing. Every rank has its own directory; Horovod then broadcasts rank 0's state, step
included. But a rank whose own newest checkpoint has the last step trains nothing ("Skipping
training since max_steps has already saved") and ends, and the others fail at the broadcast (seen
with 1.13.0). So no rank may be ahead of rank 0.

Nothing is deleted: what is in the way is moved.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Dict, List, Optional, Tuple

from bertkit.errors import DataDamaged
from bertkit.files import write_atomic
from bertkit.launch.checkpoints.checkpoint import inspect

_STEP = re.compile(r"model\.ckpt-(\d+)\.")
# TensorFlow's own temporary names: a directory for the parts of a checkpoint that is being saved,
# and files that are renamed when they are whole.
_TEMPORARY = re.compile(
    r"model\.ckpt-\d+_temp.*|(model\.ckpt-\d+\..*|checkpoint|graph\.pbtxt)\.(tmp|tempstate)\w*"
)
_NAMED = re.compile(r'^model_checkpoint_path: "(.*)"$', re.MULTILINE)


def clear(output: Path, aside: Path, *, good_until: Optional[int] = None) -> List[str]:
    """Put away what would make TensorFlow start from anything but the newest whole checkpoint.

    Args:
        output: the run's output directory.
        aside: where to; made when it is needed.
        good_until: checkpoints of later steps are no good: the loss was none any more.

    Returns:
        What was done, a line each.
    """
    said: List[str] = []
    ranks = _directories(output)
    limit = good_until
    for directory in ranks:
        wholes = _clear_one(directory, output, aside, limit, said)
        if directory == ranks[0]:  # rank 0's: no other may be ahead of it
            limit = max(wholes, default=0)
    return said


def _directories(output: Path) -> List[Path]:
    """Where ranks keep checkpoints, rank 0's first (as in ``checkpoint.of_run``)."""
    workers = sorted(
        (int(path.name[7:]), path)
        for path in output.glob("worker_*")
        if path.is_dir() and path.name[7:].isdigit()
    )
    found = [output, *(path for _, path in workers)]
    if workers and workers[0][0] == 0 and not any(output.glob("model.ckpt-*")):
        found.insert(0, found.pop(1))
    return found


def _clear_one(
    directory: Path, output: Path, aside: Path, limit: Optional[int], said: List[str]
) -> List[int]:
    """Clear one rank's directory; the steps of the whole checkpoints that stay, in order."""
    place = aside / "checkpoints" / directory.relative_to(output)
    temporary = [path for path in directory.glob("*") if _TEMPORARY.fullmatch(path.name)]
    _move(temporary, place, "left from a save that was cut short", said)
    stays = []
    for step, files in _by_step(directory):
        try:
            inspect(directory / f"model.ckpt-{step}")
        except DataDamaged as error:
            _move(files, place, f"half a checkpoint ({error.why})", said)
            continue
        if limit is not None and step > limit:
            _move(files, place, f"later than step {limit}, where this run goes on", said)
            continue
        stays.append(step)
    _mend_state(directory, place, stays, said)
    return stays


def _by_step(directory: Path) -> List[Tuple[int, List[Path]]]:
    files: Dict[int, List[Path]] = {}
    for path in directory.glob("model.ckpt-*"):
        match = _STEP.match(path.name)
        if match:
            files.setdefault(int(match.group(1)), []).append(path)
    return sorted(files.items())


def _mend_state(directory: Path, place: Path, steps: List[int], said: List[str]) -> None:
    """Let ``checkpoint`` name the newest whole one, as TensorFlow itself would."""
    state = directory / "checkpoint"
    named: Optional[str] = None
    if state.is_file():
        match = _NAMED.search(state.read_text(encoding="utf-8", errors="replace"))
        named = Path(match.group(1)).name if match else ""
    newest = f"model.ckpt-{steps[-1]}" if steps else None
    if named == newest:
        return
    if named is not None:
        why = f"it names {named}" if named else "it names nothing"
        _move([state], place, f"{why}, and {newest or 'nothing'} is the newest whole one", said)
    if newest is not None:
        lines = [f'model_checkpoint_path: "{newest}"']
        lines += [f'all_model_checkpoint_paths: "model.ckpt-{step}"' for step in steps]
        write_atomic(state, "\n".join(lines) + "\n")


def _move(paths: List[Path], place: Path, why: str, said: List[str]) -> None:
    if not paths:
        return
    place.mkdir(parents=True, exist_ok=True)
    size = 0
    for path in paths:
        size += _size(path)
        path.rename(place / path.name)
    first = _STEP.match(paths[0].name)
    what = f"model.ckpt-{first.group(1)}" if first else ", ".join(path.name for path in paths)
    where = paths[0].parent
    said.append(f"{where / what}: {why}; moved to {place} ({size / 1e6:.1f} MB)")


def _size(path: Path) -> int:
    if path.is_dir() and not path.is_symlink():
        return sum(each.lstat().st_size for each in path.rglob("*"))
    return path.lstat().st_size

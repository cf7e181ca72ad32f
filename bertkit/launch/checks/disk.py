"""Whether a run's checkpoints have room: they are what fills a disk at three in the morning."""

from __future__ import annotations

from pathlib import Path
from typing import List, NamedTuple, Optional

from bertkit.errors import BertkitError, EnvironmentUnfit
from bertkit.launch.checkpoints import bert_variables
from bertkit.launch.nodes.facts import Facts
from bertkit.launch.plan import Plan, flag_of

#: what each of upstream's scripts keeps if nothing is said (run_squad.py fixes it; the Estimator's
#: own default is 5)
_KEPT = {"run_pretraining.py": 2, "run_classifier.py": 5, "run_squad.py": 1}
#: bytes beside the numbers: the graph, the index, the events
_BESIDES = 8 << 20
#: checkpoints of a job whose length is given in epochs: at its start and at its end
_OF_EPOCHS = 2


class Room(NamedTuple):
    """What the checkpoints of all ranks take: bytes of one, how many at a time, writers."""

    one: int
    at_once: int
    ranks: int

    @property
    def bytes(self) -> int:
        """All of it."""
        return self.one * self.at_once * self.ranks

    def __str__(self) -> str:
        return (
            f"{in_words(self.one)} a checkpoint x {self.at_once} at a time x "
            f"{self.ranks} rank{'s' if self.ranks > 1 else ''}"
        )


def room_for(plan: Plan, *, resumed: bool) -> Room:
    """What *plan*'s checkpoints take while one more is being written than are kept.

    A checkpoint holds each parameter, its two moments, and, with accumulation, the gradient so far,
    4 bytes each. Every rank writes its own; where nodes do not share the output directory, this is
    what one node's take.
    """
    config = bert_variables.read_config(Path(flag_of(plan, "bert_config_file") or ""))
    copies = 4 if plan.numbers.get("accumulation", 1) != 1 else 3
    one = bert_variables.parameters(config) * 4 * copies + _BESIDES
    shared = plan.environment.get("BERTKIT_OUTPUT_SHARED") == "1"
    writers = plan.ranks if shared else max(1, plan.ranks // max(1, len(plan.hosts)))
    if resumed:  # those that are kept are there already
        return Room(one, 1, writers)
    kept = int(flag_of(plan, "keep_checkpoint_max") or _KEPT.get(Path(plan.script[0]).name, 5))
    steps, every = plan.numbers.get("steps"), flag_of(plan, "save_checkpoints_steps")
    saves = int(steps) // int(every) + 2 if steps and every else _OF_EPOCHS
    return Room(one, min(kept + 1, saves) if kept else saves, writers)


def problems(plan: Plan, facts: Facts, *, resumed: bool) -> List[BertkitError]:
    """Whether the output's file system has the room that the checkpoints take."""
    free = None if facts.output is None else facts.output.free_bytes
    room = _room(plan, resumed=resumed)
    if free is None or room is None or room.bytes <= free:
        return []
    ways = "free some space, or take another --output DIR"
    if Path(plan.script[0]).name == "run_pretraining.py":  # the other scripts have no such flag
        ways += ", or keep fewer: -- --keep_checkpoint_max=1"
    return [
        EnvironmentUnfit(
            f"the checkpoints need {in_words(room.bytes)}, {in_words(free)} are free",
            where=plan.output,
            why=str(room),
            next_step=ways,
        )
    ]


def _room(plan: Plan, *, resumed: bool) -> Optional[Room]:
    """The room, or None where the model's configuration cannot be read (said elsewhere)."""
    try:
        return room_for(plan, resumed=resumed)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def in_words(count: int) -> str:
    """Bytes for people: ``5.4 GB``."""
    size = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"

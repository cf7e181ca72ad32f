"""Waiting for what other shares do."""

from __future__ import annotations

import logging
import time
from typing import Callable, List, Optional, Sequence, Tuple, TypeVar

from bertkit.data.layout import DataLayout
from bertkit.data.stages.attendance import Attendance
from bertkit.data.stages.manifest import Manifest
from bertkit.data.stages.parts import PartsStage, carry_out_parts
from bertkit.errors import BertkitError

log = logging.getLogger("bertkit.data")

_Found = TypeVar("_Found")

# Seconds between two looks for what other shares do, and between two lines about it.
_LOOK_EVERY = 1.0
_SAY_EVERY = 60.0
_NAMED = 3  # so many shares are named


class Waiting:
    """Looks again after a while, and says now and then who is waited for."""

    def __init__(self, doing: str, others: Attendance) -> None:
        self._doing, self._others = doing, others
        self._said = float("-inf")

    def look(self, numbers: Sequence[int], words: str) -> Optional[BertkitError]:
        """Wait a little for the shares of *numbers*.

        Returns:
            An error if one of them is gone. It may have done its work before: look for that, and
            raise this if there is none.
        """
        gone = self._others.gone(numbers, self._doing)
        if gone is not None:
            return gone
        now = time.monotonic()
        if now - self._said > _SAY_EVERY:
            self._said = now
            names = "; ".join(self._others.who(number) for number in numbers[:_NAMED])
            more = f" and {len(numbers) - _NAMED} more" if len(numbers) > _NAMED else ""
            log.info("%s: waiting for %s%s: %s", self._doing, names, more, words)
        time.sleep(_LOOK_EVERY)
        return None

    def until(
        self, found: Callable[[], Optional[_Found]], numbers: Sequence[int], words: str
    ) -> _Found:
        """Wait for the shares of *numbers* until *found* gives something.

        Raises:
            BertkitError: one of them is gone.
        """
        there = found()
        while there is None:
            gone = self.look(numbers, words)
            there = found()
            if gone is not None and there is None:
                raise gone
        return there


def carry_out_all_parts(
    stage: PartsStage, layout: DataLayout, workers: int, others: Attendance
) -> Tuple[int, List[Manifest]]:
    """Make the parts of this share, and wait until the other shares have made theirs.

    Returns:
        How many parts were made here, and the stage's manifests.

    Raises:
        BertkitError: another share is gone, or as
            :func:`bertkit.data.stages.parts.carry_out_parts`.
    """
    carried = carry_out_parts(stage, layout, workers, others.share)
    made = carried.made
    waiting = Waiting(stage.name, others)
    while carried.manifests is None:
        gone = waiting.look(carried.owing, f"{carried.left} of {len(stage.parts)} parts are left")
        carried = carry_out_parts(stage, layout, workers, others.share)
        if gone is not None and carried.manifests is None:
            raise gone
    return made, carried.manifests

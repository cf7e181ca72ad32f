"""What upstream's trainer wants to know about packs: the file beside their directory."""

from __future__ import annotations

import collections
from pathlib import Path
from typing import Any, Counter, Dict, List, Tuple

import numpy as np

from bertkit.data.packing.strategies import strategies
from bertkit.data.records.varints import Array

#: slots of a strategy, ascending, as upstream lists them
_Slots = Tuple[int, ...]


def metadata_path(directory: Path) -> Path:
    """Where upstream looks: its existence alone switches the trainer to packs."""
    return directory.parent / f"{directory.name}_metadata.json"


class Tally:
    """Counts packs while they are planned."""

    def __init__(self, tokens: int) -> None:
        self._room = tokens
        self.packs = 0
        self._strategies: Counter[_Slots] = collections.Counter()

    def count(self, lengths: Array) -> None:
        """Take notice of some packs.

        Args:
            lengths: int64 [packs, 3], 0 for none.
        """
        self.packs += len(lengths)
        found, counts = np.unique(np.sort(lengths, axis=1), axis=0, return_counts=True)
        for row, count in zip(found.tolist(), counts.tolist()):
            self._strategies[self._slots(row)] += count

    def _slots(self, lengths: List[int]) -> _Slots:
        """The strategy that such a pack follows: its padding is a slot, or lengthens the last."""
        used = [length for length in lengths if length]
        padding = self._room - sum(used)
        if padding and len(used) < len(lengths):
            return tuple(sorted([*used, padding]))
        return (*used[:-1], used[-1] + padding)

    def metadata(self, sequences: int, tokens: int) -> Dict[str, Any]:
        """What upstream's packer writes, with the same keys.

        Args:
            sequences: how many there are in all packs.
            tokens: theirs.
        """
        numbers = {slots: number for number, slots in enumerate(as_upstream_lists(self._room))}
        top = sorted(self._strategies, key=lambda slots: (-self._strategies[slots], slots))[:8]
        return {
            "avg_seq_per_sample": sequences / self.packs,
            "compression_ratio": 1 - self.packs / sequences,
            "expected_speedup": sequences / self.packs,
            "new_number_of_samples": self.packs,
            "num_strategies_utilized": len(self._strategies),
            "original_number_of_samples": sequences,
            "packing_efficiency": tokens / (self._room * self.packs),
            "padding_tokens_original_dataset": self._room * sequences - tokens,
            "padding_tokens_packed_dataset": self._room * self.packs - tokens,
            "sequences_dropped": 0,
            "theoretical_speedup": self._room * sequences / tokens,
            "top_8_strategies": [numbers[slots] for slots in top],
        }


def as_upstream_lists(tokens: int) -> List[_Slots]:
    """All strategies in the order in which upstream numbers them."""
    rows = strategies(tokens).slots.tolist()
    return sorted(tuple(slot for slot in reversed(row) if slot) for row in rows)

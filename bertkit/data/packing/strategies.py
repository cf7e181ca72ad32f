"""Which lengths go together: a linear program over the ways to fill a pack.

A strategy is a way to cut a pack of L tokens into at most three slots. The program asks how often
to use each so that all sequences have a slot and the packs are as few as can be; a slot may hold a
sequence that is shorter than itself. Its solution is fractional, which makes its value a lower
bound on the number of packs; what is left after rounding down goes to the next window.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from bertkit.data.records.varints import Array
from bertkit.errors import BertkitError

#: upstream's trainer has this number built in
MOST_SEQUENCES = 3


class Strategies(NamedTuple):
    """All ways to fill a pack of one length.

    Attributes:
        slots: int64 [strategies, 3], each row descending, 0 where there is no slot.
        costs: float [strategies + L - 1]: 1 for a pack, 0 for letting a slot hold less.
        matrix: sparse [L, strategies + L - 1]: slots of each length that a column gives.
    """

    slots: Array
    costs: Array
    matrix: Any


class Solution(NamedTuple):
    """How often each strategy is used (fractional), and the sum of that: a lower bound."""

    uses: Array
    bound: float


@lru_cache(maxsize=2)
def strategies(pack_length: int) -> Strategies:
    """The strategies for packs of *pack_length* tokens: 22,102 for 512, 1,430 for 128."""
    from scipy.sparse import csc_matrix

    slots = np.array(
        [
            (pack_length - second - third, second, third)
            for third in range(pack_length // 3 + 1)
            for second in range(third, (pack_length - third) // 2 + 1)
        ],
        dtype=np.int64,
    )
    column, place = np.nonzero(slots)
    rows = slots[column, place] - 1
    # One column more for each length: a slot of it becomes a slot for one token less.
    longer = np.arange(1, pack_length)
    less = len(slots) + longer - 1
    ones = np.ones(len(longer))
    matrix = csc_matrix(
        (
            np.concatenate([np.ones(len(rows)), -ones, ones]),
            (
                np.concatenate([rows, longer, longer - 1]),
                np.concatenate([column, less, less]),
            ),
        ),
        shape=(pack_length, len(slots) + pack_length - 1),
    )
    costs = np.concatenate([np.ones(len(slots)), np.zeros(pack_length - 1)])
    return Strategies(slots, costs, matrix)


def solve(histogram: Array, pack_length: int) -> Solution:
    """The best fractional use of the strategies for sequences of these lengths.

    Args:
        histogram: int [L + 1], sequences of each length from 0 (of which there are none) to L.
        pack_length: L.

    Raises:
        BertkitError: the solver failed.
    """
    from scipy.optimize import linprog

    known = strategies(pack_length)
    answer = linprog(
        known.costs,
        A_ub=-known.matrix,
        b_ub=-np.asarray(histogram[1:], dtype=np.float64),
        method="highs-ipm",
    )
    if not answer.success:
        raise BertkitError("no packing was found", why=str(answer.message))
    return Solution(answer.x[: len(known.slots)], float(answer.fun))

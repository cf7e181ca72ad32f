"""Which card each rank of a node opens, where the caller's variables choose.

Habana's package decides it by the local rank, where there are several ranks: ``HLS_MODULE_ID`` is
taken as it is; else the local rank counts through ``HABANA_VISIBLE_MODULES``, in the order of the
ids; else it is the module id itself. ``HABANA_VISIBLE_DEVICES`` is for the container's runtime: it
decides which device nodes a container gets, and those are counted.
"""

from __future__ import annotations

from typing import Mapping, Tuple

from bertkit.errors import EnvironmentUnfit

#: one module for all ranks
MODULE = "HLS_MODULE_ID"
#: a list of modules by commas, the same in every rank
MODULES = "HABANA_VISIBLE_MODULES"


def modules_of_ranks(environment: Mapping[str, str], cards: int) -> Tuple[int, ...]:
    """The module id of each local rank's card, for *cards* ranks on a node.

    Raises:
        EnvironmentUnfit: the variables leave no card of its own to a rank.
    """
    chosen = environment.get(MODULE)
    if chosen is not None and cards > 1:
        raise EnvironmentUnfit(
            f"all {cards} ranks would take the same card",
            where=f"{MODULE}={chosen}",
            next_step=f"unset {MODULE}: each rank then takes a card of its own",
        )
    visible = environment.get(MODULES)
    if visible is None or cards == 1:  # a rank alone takes the first card that is free
        return tuple(range(cards))
    names = visible.split(",")
    # Blanks as well: Habana's package passes each id on as it stands.
    if not all(name.isascii() and name.isdigit() for name in names) or len(set(names)) < len(names):
        raise EnvironmentUnfit(
            "the visible modules cannot be read",
            where=f"{MODULES}={visible[:80]}",
            why="numbers of modules are wanted, each once, with commas and no blanks between them",
            next_step=f"name them so ({MODULES}=0,1,2,3), or unset it",
        )
    if len(names) < cards:
        raise EnvironmentUnfit(
            f"{cards} cards were asked for, {len(names)} are visible",
            where=f"{MODULES}={visible}",
            next_step="name more modules there, or unset it",
        )
    return tuple(map(int, sorted(names)[:cards]))

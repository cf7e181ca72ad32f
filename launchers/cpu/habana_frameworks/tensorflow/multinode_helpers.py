"""Which rank this is, from the variables that Open MPI or Horovod sets.

The real module's answers: Open MPI's variable first, then Horovod's, else those of a single
process; with ``check_available`` None takes the place of that last answer.
"""

from __future__ import annotations

import os
from typing import Optional


def _first_of(ompi: str, horovod: str, alone: int, check_available: bool) -> Optional[int]:
    for variable in (ompi, horovod):
        if variable in os.environ:
            return int(os.environ[variable])
    return None if check_available else alone


def comm_size(check_available: bool = False) -> Optional[int]:
    """How many ranks there are in all."""
    return _first_of("OMPI_COMM_WORLD_SIZE", "HOROVOD_SIZE", 1, check_available)


def comm_rank(check_available: bool = False) -> Optional[int]:
    """This rank's number among all."""
    return _first_of("OMPI_COMM_WORLD_RANK", "HOROVOD_RANK", 0, check_available)


def comm_local_size(check_available: bool = False) -> Optional[int]:
    """How many ranks run on this host."""
    return _first_of("OMPI_COMM_WORLD_LOCAL_SIZE", "HOROVOD_LOCAL_SIZE", 1, check_available)


def comm_local_rank(check_available: bool = False) -> Optional[int]:
    """This rank's number on this host."""
    return _first_of("OMPI_COMM_WORLD_LOCAL_RANK", "HOROVOD_LOCAL_RANK", 0, check_available)


def _setup_env_for_multinode(required: bool = False) -> None:
    """Nothing to set up without Gaudis; upstream 1.0.0 to 1.1.1 imports and calls it."""

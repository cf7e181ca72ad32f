"""How ranks are laid out on a node: mpirun itself is asked, for a machine that is not here."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import List, Sequence, Tuple

import pytest

from bertkit.devices.machine import Cores
from bertkit.launch import mpi
from tests.launch.runs import needs_mpirun

#: as in Voyager's nodes: 2 sockets with 24 cores each, 8 Gaudis, 4 of them on each NUMA node
CORES = Cores(physical=48, sockets=2, source="test")
TOPOLOGY = "pack:2 core:24 pu:2"
_RANK = re.compile(r"Data for proc: \[[^,]*,(\d+)\].*?Binding: package\[(\d+)\]\[core:L(\d+)", re.S)


@needs_mpirun
@pytest.mark.parametrize(
    "near",
    [
        (0, 0, 0, 0, 1, 1, 1, 1),
        (0, 0, 1, 1),
        (0, 0),
        (0, 0, 0, 0),
        (0, 0, 0, 1),
    ],
)
def test_each_rank_has_cores_of_its_own_on_the_socket_of_its_card(near: Sequence[int]) -> None:
    binding = mpi.binding_for_hpu(len(near), 8, CORES, near)
    sockets, cores = layout(binding, len(near))
    assert sockets == list(near)
    assert len(set(cores)) == len(near)
    assert all(core % 6 == 0 for core in cores)  # 6 cores each


@pytest.mark.parametrize(
    "near", [(1, 1, 1, 1, 0, 0, 0, 0), (1, 1, 1, 1), (0, 0, 1, 1, 1, 1), (0, 1, 0, 1)]
)
def test_ranks_that_would_sit_far_from_their_cards_are_not_bound(near: Sequence[int]) -> None:
    binding = mpi.binding_for_hpu(len(near), 8, CORES, near)
    assert binding.arguments == ("--bind-to", "none", "--map-by", "slot")
    assert f"NUMA nodes {', '.join(map(str, near))}" in binding.reason


@pytest.mark.parametrize("near", [(None,) * 8, (), (-1,) * 8, (0,) * 8])
def test_where_the_nodes_of_the_cards_say_nothing_ranks_are_spread_evenly(
    near: Sequence[int],
) -> None:
    assert "ppr:4:socket:PE=6" in mpi.binding_for_hpu(8, 8, CORES, near).arguments


def layout(binding: mpi.Binding, ranks: int) -> Tuple[List[int], List[int]]:
    """The socket of each rank, and its first core, as mpirun lays them out on such a machine."""
    mpirun = mpi.find(os.environ, Path(sys.executable))
    if mpirun.version < (5,):
        pytest.skip("only Open MPI 5 shows a layout that it does not start")
    said = subprocess.run(
        [str(mpirun.path), "-np", str(ranks), "--allow-run-as-root", "-H", f"localhost:{ranks}",
         *binding.arguments, "--display", "map-devel", "--do-not-launch", "true"],
        env={**os.environ, "HWLOC_SYNTHETIC": TOPOLOGY}, check=True, capture_output=True,
        text=True, timeout=60,
    ).stdout  # fmt: skip
    found = sorted(
        (int(rank), int(socket), int(core)) for rank, socket, core in _RANK.findall(said)
    )
    assert len(found) == ranks, said
    return [socket for _, socket, _ in found], [core for _, _, core in found]

"""The room that a run's checkpoints take."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Tuple

import pytest

from bertkit.launch.checks import disk
from bertkit.launch.nodes.facts import Facts, Output
from bertkit.launch.plan import Request, make_plan
from tests.launch.nodes.test_fitness import FIT

RequestFor = Callable[..., Request]


def with_room(size: int) -> Facts:
    return replace(FIT, output=Output("/results", True, size, None))


@pytest.mark.parametrize(
    ("job", "flags", "at_once"),
    [
        ("phase1", (), 3),  # two are kept, one is being written
        ("phase1", ("--keep_checkpoint_max=5",), 4),  # no more are written in 6 steps
        ("phase1", ("--save_checkpoints_steps=100",), 2),
        ("mrpc", (), 2),
    ],
)
def test_as_many_are_counted_as_lie_there_at_once(
    request_for: RequestFor, job: str, flags: Tuple[str, ...], at_once: int
) -> None:
    plan = make_plan(request_for(job, extra_flags=flags), os.environ)
    room = disk.room_for(plan, resumed=False)
    assert (room.at_once, room.ranks) == (at_once, 1)
    assert disk.room_for(plan, resumed=True).at_once == 1


def test_a_checkpoint_of_pre_training_has_what_tensorflow_writes(request_for: RequestFor) -> None:
    """34,008,013 bytes is what upstream 1.13.0 wrote of the tiny model with accumulation."""
    room = disk.room_for(make_plan(request_for("phase1"), os.environ), resumed=False)
    assert 0 <= room.one - 34_008_013 < 10_000_000


def test_a_full_disk_is_told_before_the_run_with_the_numbers(
    request_for: RequestFor, gaudi_image: Path
) -> None:
    request = request_for("phase1", model="large", cards=8, device="hpu")
    plan = make_plan(request, os.environ)
    (trouble,) = disk.problems(plan, with_room(100_000_000_000), resumed=False)
    assert trouble.exit_code == 3
    assert "the checkpoints need 129.3 GB, 100.0 GB are free" in str(trouble)
    assert "5.4 GB a checkpoint x 3 at a time x 8 ranks" in str(trouble)
    assert disk.problems(plan, with_room(130_000_000_000), resumed=False) == []
    assert disk.problems(plan, with_room(50_000_000_000), resumed=True) == []


def test_room_that_is_not_known_stops_nothing(request_for: RequestFor) -> None:
    plan = make_plan(request_for("phase1"), os.environ)
    nothing: Any = replace(FIT, output=None)
    assert disk.problems(plan, nothing, resumed=False) == []

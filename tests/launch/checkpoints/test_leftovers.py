"""What a killed run leaves among its checkpoints, before TensorFlow looks at it again."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, List

import pytest

from bertkit.launch.checkpoints.leftovers import clear

Put = Callable[[Path, int], Path]


def prefixes(directory: Path) -> List[str]:
    return sorted(path.name[: -len(".index")] for path in directory.glob("*.index"))


def named(directory: Path) -> str:
    return (directory / "checkpoint").read_text().splitlines()[0]


@pytest.fixture
def output(tmp_path: Path) -> Path:
    (tmp_path / "phase1").mkdir()
    return tmp_path / "phase1"


def test_what_is_whole_and_named_is_left_alone(output: Path, whole_checkpoint: Put) -> None:
    whole_checkpoint(output, 5)
    state = 'model_checkpoint_path: "model.ckpt-5"\nall_model_checkpoint_paths: "model.ckpt-5"\n'
    (output / "checkpoint").write_text(state)
    before = sorted(path.name for path in output.iterdir())
    assert clear(output, output / "aside") == []
    assert sorted(path.name for path in output.iterdir()) == before
    assert (output / "checkpoint").read_text() == state


@pytest.mark.parametrize("damage", ["no index", "no data", "cut off", "not an index"])
def test_half_a_checkpoint_is_moved_and_the_whole_one_before_it_is_named(
    output: Path, whole_checkpoint: Put, damage: str
) -> None:
    whole_checkpoint(output, 5)
    whole_checkpoint(output, 6)
    index = output / "model.ckpt-6.index"
    data = output / "model.ckpt-6.data-00000-of-00001"
    size = data.stat().st_size
    if damage == "no index":
        index.unlink()
    elif damage == "no data":
        data.unlink()
    elif damage == "cut off":
        data.write_bytes(data.read_bytes()[: size // 2])
    else:
        index.write_bytes(b"not an index")
    (output / "checkpoint").write_text('model_checkpoint_path: "model.ckpt-6"\n')
    said = clear(output, output / "aside")
    assert prefixes(output) == ["model.ckpt-5"]
    assert not list(output.glob("model.ckpt-6*"))
    assert list((output / "aside/checkpoints").glob("model.ckpt-6*"))
    assert named(output) == 'model_checkpoint_path: "model.ckpt-5"'
    assert any("model.ckpt-6: half a checkpoint" in line and "MB" in line for line in said)


def test_a_save_that_was_cut_short_leaves_nothing(output: Path, whole_checkpoint: Put) -> None:
    whole_checkpoint(output, 5)
    (output / "model.ckpt-6_temp").mkdir()
    (output / "model.ckpt-6_temp/part-00000-of-00001.data-00000-of-00001").write_bytes(b"x" * 9)
    (output / "checkpoint.tmp0123abc").write_text("half")
    (output / "model.ckpt-6.index.tempstate1234").write_text("half")
    clear(output, output / "aside")
    assert not [path for path in output.iterdir() if "tmp" in path.name or "temp" in path.name]
    assert (output / "aside/checkpoints/model.ckpt-6_temp").is_dir()


@pytest.mark.parametrize("state", [None, "", 'model_checkpoint_path: "model.ckpt-9"\n', "\xff\0"])
def test_a_state_file_that_names_no_whole_one_is_made_anew(
    output: Path, whole_checkpoint: Put, state: str
) -> None:
    whole_checkpoint(output, 3)
    whole_checkpoint(output, 5)
    if state is not None:
        (output / "checkpoint").write_text(state, encoding="latin-1")
    clear(output, output / "aside")
    assert (output / "checkpoint").read_text().splitlines() == [
        'model_checkpoint_path: "model.ckpt-5"',
        'all_model_checkpoint_paths: "model.ckpt-3"',
        'all_model_checkpoint_paths: "model.ckpt-5"',
    ]


def test_a_state_file_without_any_checkpoint_goes_too(output: Path) -> None:
    (output / "checkpoint").write_text('model_checkpoint_path: "model.ckpt-5"\n')
    clear(output, output / "aside")
    assert not (output / "checkpoint").exists()


def test_no_rank_stays_ahead_of_rank_0(output: Path, whole_checkpoint: Put) -> None:
    for directory, steps in (("", [3, 5]), ("worker_1", [3, 5, 7]), ("worker_2", [3])):
        for step in steps:
            whole_checkpoint(output / directory, step)
    (output / "model.ckpt-5.index").unlink()
    clear(output, output / "aside")
    assert prefixes(output) == ["model.ckpt-3"]
    assert prefixes(output / "worker_1") == ["model.ckpt-3"]
    assert prefixes(output / "worker_2") == ["model.ckpt-3"]
    moved = output / "aside/checkpoints/worker_1"
    assert prefixes(moved) == ["model.ckpt-5", "model.ckpt-7"]


def test_fine_tuning_keeps_rank_0_in_a_directory_like_the_others(
    output: Path, whole_checkpoint: Put
) -> None:
    whole_checkpoint(output / "worker_0", 3)
    whole_checkpoint(output / "worker_1", 5)
    clear(output, output / "aside")
    assert prefixes(output / "worker_0") == ["model.ckpt-3"]
    assert prefixes(output / "worker_1") == []


def test_checkpoints_from_after_the_loss_was_lost_are_put_aside(
    output: Path, whole_checkpoint: Put
) -> None:
    for step in (3, 5, 7):
        whole_checkpoint(output, step)
    clear(output, output / "aside", good_until=4)
    assert prefixes(output) == ["model.ckpt-3"]
    assert named(output) == 'model_checkpoint_path: "model.ckpt-3"'

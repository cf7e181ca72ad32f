from __future__ import annotations

import json
from pathlib import Path
from typing import Callable, List

import pytest

from bertkit.errors import DataDamaged
from bertkit.launch.checkpoints import checkpoint
from bertkit.launch.checkpoints.tensor_bundle import NotABundle, read_index

Put = Callable[[Path, int], Path]

#: every variable of a model of 2 layers, written by TensorFlow 2.13
WHOLE = Path(__file__).parents[2] / "fixtures" / "checkpoint-of-bert"


def config(tmp_path: Path, **changes: int) -> Path:
    values = {**json.loads((WHOLE / "bert_config.json").read_text()), **changes}
    path = tmp_path / "bert_config.json"
    path.write_text(json.dumps(values))
    return path


def test_an_index_written_by_tensorflow_gives_names_shapes_and_places(
    tmp_path: Path, whole_checkpoint: Put
) -> None:
    prefix = whole_checkpoint(tmp_path, 7)
    bundle = read_index(prefix.with_name(prefix.name + ".index"))
    assert bundle.tensors["bert/embeddings/word_embeddings"].shape == (11, 4)
    assert bundle.tensors["global_step"].shape == ()
    data = prefix.with_name(prefix.name + ".data-00000-of-00001")
    assert bundle.shard_sizes() == [data.stat().st_size]


def test_every_cut_of_an_index_is_refused(tmp_path: Path, whole_checkpoint: Put) -> None:
    prefix = whole_checkpoint(tmp_path, 7)
    index = prefix.with_name(prefix.name + ".index")
    whole = index.read_bytes()
    for length in range(len(whole)):
        index.write_bytes(whole[:length])
        with pytest.raises(NotABundle):
            read_index(index)


def test_the_newest_whole_checkpoint_is_found(tmp_path: Path, whole_checkpoint: Put) -> None:
    for step in (9, 100, 20):
        whole_checkpoint(tmp_path, step)
    found = checkpoint.newest(tmp_path)
    assert found is not None
    assert (found.prefix.name, found.step) == ("model.ckpt-100", 100)


def test_where_there_is_no_trace_of_a_checkpoint_there_is_none(tmp_path: Path) -> None:
    assert checkpoint.newest(tmp_path) is None
    assert checkpoint.newest(tmp_path / "nowhere") is None


@pytest.mark.parametrize(
    "harm", ["cut the data", "lose the data", "lose the index", "cut the index"]
)
def test_half_a_checkpoint_is_passed_over_for_a_whole_one(
    tmp_path: Path, whole_checkpoint: Put, harm: str
) -> None:
    whole_checkpoint(tmp_path, 10)
    broken(whole_checkpoint(tmp_path, 20), harm)
    found = checkpoint.newest(tmp_path)
    assert found is not None
    assert found.step == 10


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        ("cut the data", "has 311 of 312 bytes"),
        ("lose the data", "data-00000-of-00001 is missing"),
        ("lose the index", "index is missing"),
        ("cut the index", "cut off"),
    ],
)
def test_half_a_checkpoint_alone_is_damaged_data_with_the_part_that_fails(
    tmp_path: Path, whole_checkpoint: Put, harm: str, words: str
) -> None:
    broken(whole_checkpoint(tmp_path, 20), harm)
    with pytest.raises(DataDamaged, match="half a checkpoint") as refusal:
        checkpoint.newest(tmp_path)
    assert words in str(refusal.value)
    assert refusal.value.exit_code == 6


def test_a_checkpoint_fits_the_model_it_was_made_with_and_no_other(tmp_path: Path) -> None:
    found = checkpoint.inspect(WHOLE / "model.ckpt-7")
    assert checkpoint.fits(found, WHOLE / "bert_config.json") is None
    assert "11 x 4" in str(checkpoint.fits(found, config(tmp_path, hidden_size=8)))
    assert "2 layers" in str(checkpoint.fits(found, config(tmp_path, num_hidden_layers=12)))
    misfit = str(checkpoint.fits(found, config(tmp_path, intermediate_size=16)))
    assert "intermediate/dense/kernel is 4 x 8, the model's is 4 x 16" in misfit


def test_a_checkpoint_without_some_of_the_models_variables_does_not_fit(
    tmp_path: Path, whole_checkpoint: Put
) -> None:
    """Upstream would start those from random numbers, without a word."""
    found = checkpoint.inspect(whole_checkpoint(tmp_path, 7))
    misfit = str(checkpoint.fits(found, config(tmp_path)))
    assert "it has no bert/embeddings/position_embeddings and 35 more" in misfit


def test_a_byte_that_changed_in_an_index_is_noticed(tmp_path: Path, whole_checkpoint: Put) -> None:
    prefix = whole_checkpoint(tmp_path, 7)
    index = prefix.with_name(prefix.name + ".index")
    whole = index.read_bytes()
    for position in (20, 60, 100):
        index.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        with pytest.raises(NotABundle):
            read_index(index)


def test_a_runs_checkpoint_is_found_where_the_fine_tuning_scripts_put_it(
    tmp_path: Path, whole_checkpoint: Put
) -> None:
    whole_checkpoint(tmp_path / "worker_0", 3)
    found = checkpoint.of_run(tmp_path)
    assert found is not None
    assert found.step == 3


def broken(prefix: Path, harm: str) -> None:
    what, _, part = harm.split()
    suffix = ".index" if part == "index" else ".data-00000-of-00001"
    path = prefix.with_name(prefix.name + suffix)
    if what == "lose":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-1])


def test_what_was_passed_over_is_told(tmp_path: Path, whole_checkpoint: Put) -> None:
    whole_checkpoint(tmp_path, 10)
    broken(whole_checkpoint(tmp_path, 20), "cut the data")
    told: List[str] = []
    checkpoint.newest(tmp_path, told)
    assert len(told) == 1
    assert "model.ckpt-20" in told[0]
    assert "311 of 312" in told[0]


def test_a_part_stands_for_the_whole_checkpoint(tmp_path: Path, whole_checkpoint: Put) -> None:
    prefix = whole_checkpoint(tmp_path, 7)
    for part in (".index", ".meta", ".data-00000-of-00001"):
        assert checkpoint.inspect(prefix.with_name(prefix.name + part)).prefix == prefix


def test_a_directory_or_a_name_without_parts_is_no_checkpoint(
    tmp_path: Path, whole_checkpoint: Put
) -> None:
    prefix = whole_checkpoint(tmp_path, 7)
    with pytest.raises(DataDamaged, match="no checkpoint of that name") as refusal:
        checkpoint.inspect(tmp_path)
    assert "it is a directory" in str(refusal.value)
    assert f"--init-checkpoint {prefix}" in str(refusal.value)
    with pytest.raises(DataDamaged, match="no checkpoint of that name"):
        checkpoint.inspect(tmp_path / "model.ckpt-8")

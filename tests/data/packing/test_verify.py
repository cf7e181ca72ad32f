"""`data verify` reads packs too, and says what is wrong or missing."""

import json
import subprocess
import sys

import pytest

from bertkit.data.layout import DataLayout
from bertkit.data.packing.metadata import metadata_path
from bertkit.data.packing.packer import Request
from bertkit.data.packing.stage import pack
from bertkit.data.packing.verify import verify_all, verify_packs
from bertkit.data.records.tfrecord import (
    read_records,
    write_records,
)
from bertkit.errors import DataDamaged
from tests.data.spoiling import change_first, changed, longer


@pytest.fixture
def packs(source, tmp_path):
    return pack(Request(source, tmp_path / "packs" / "training", ranks=2, workers=1)).output


def test_packs_of_this_package_are_as_they_should_be(packs, source):
    by_manifest = verify_packs(packs, workers=1)
    assert (by_manifest.sequences, by_manifest.files) == (900, 2)
    assert by_manifest.compared_with == "manifest"
    assert verify_packs(packs, source=source, workers=2).compared_with == "source"
    DataLayout.manifest(packs).unlink()
    assert verify_packs(packs, workers=1).compared_with == "nothing"


def change_pack_of(sequences, packs, change):
    """Change the first pack of so many sequences, in the first file."""
    first = sorted(packs.iterdir())[0]
    return change_first(first, lambda found: max(found["input_mask"]) == sequences, change)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (longer("input_mask"), "input_mask"),
        (longer("input_ids"), "input_ids has 49 values, not 48"),
        (longer("masked_lm_ids"), "masked_lm_ids has 11 values, not 10"),
        (changed("input_mask", 1, 0), "input_mask"),
        (changed("input_mask", 0, 4), "input_mask"),
        (changed("positions", 3, 0), "positions do not begin again"),
        (changed("segment_ids", 0, 2), "segment_ids"),
        (changed("masked_lm_weights", 0, 0.0), "masked_lm_weights"),
        (changed("masked_lm_weights", 0, 2.0), "masked_lm_weights"),
        (changed("masked_lm_weights", 0, 1.5), "masked_lm_weights"),
        (changed("masked_lm_positions", 0, 47), "masked_lm_positions"),
        (changed("masked_lm_positions", -1, 1), "masked_lm_positions"),
        (changed("masked_lm_ids", -1, 1), "masked_lm_ids is not zero"),
        (changed("next_sentence_positions", 1, 1), "next_sentence_positions"),
        (changed("next_sentence_labels", 0, 2), "next_sentence_labels"),
        (changed("next_sentence_labels", 2, 1), "next_sentence_labels"),
        (changed("next_sentence_weights", 1, 0.0), "next_sentence_weights"),
        (lambda example: {k: v for k, v in example.items() if k != "segment_ids"}, "wanted are"),
    ],
)
def test_every_kind_of_wrong_pack_is_found(packs, change, reason):
    where = change_pack_of(2, packs, change)
    with pytest.raises(DataDamaged) as caught:
        verify_packs(packs, workers=1)
    assert reason in str(caught.value)
    assert caught.value.where == where
    assert caught.value.exit_code == 6


def another_token(example):
    return changed("input_ids", 0, example["input_ids"][0] + 1)(example)


def another_place(example):
    """The first prediction moves to where there is none."""
    taken = set(example["masked_lm_positions"])
    free = next(n for n in range(example["input_mask"].count(1)) if n not in taken)
    return changed("masked_lm_positions", 0, free)(example)


@pytest.mark.parametrize("change", [another_token, another_place])
def test_a_sequence_that_is_another_is_found(packs, source, change):
    change_pack_of(1, packs, change)
    for given in (None, source):
        with pytest.raises(DataDamaged, match="others than in the source"):
            verify_packs(packs, source=given, workers=1)


def test_a_pack_that_is_missing_or_there_twice_is_found(packs, source):
    path = sorted(packs.iterdir())[0]
    contents = list(read_records(path))
    for others in (contents[1:], [*contents, contents[0]]):
        write_records(path, others)
        with pytest.raises(DataDamaged, match=r"metadata says that \w+ is"):
            verify_packs(packs, source=source, workers=1)


@pytest.mark.parametrize(
    "key", ["avg_seq_per_sample", "new_number_of_samples", "packing_efficiency"]
)
@pytest.mark.parametrize("value", [0, "many", None])
def test_metadata_that_tells_something_else_is_found(packs, key, value):
    told = json.loads(metadata_path(packs).read_text())
    metadata_path(packs).write_text(json.dumps({**told, key: value}))
    with pytest.raises(DataDamaged, match=key):
        verify_packs(packs, workers=1)


def test_packs_without_metadata_would_be_taken_for_records(packs):
    metadata_path(packs).unlink()
    with pytest.raises(DataDamaged, match="metadata of the packs cannot be read"):
        verify_packs(packs, workers=1)


def test_a_data_directory_is_checked_with_the_packs_in_it(source, tmp_path):
    root = tmp_path / "data"
    output = DataLayout(root, "corpus").packed_training_records(48)
    pack(Request(source, output, ranks=2, workers=1))
    records, packed = verify_all(root)
    assert not records  # they lie elsewhere
    assert [(each.seq_len, each.sequences) for each in packed] == [(48, 900)]
    change_pack_of(2, output, changed("positions", 3, 0))
    with pytest.raises(DataDamaged, match="positions do not begin"):
        verify_all(root)


def test_the_command_looks_at_packs(packs, source):
    command = [sys.executable, "-m", "bertkit", "data", "verify", str(packs), "--json"]
    done = subprocess.run(
        [*command, "--source", str(source)], stdout=subprocess.PIPE, check=True, text=True
    )
    (row,) = json.loads(done.stdout)["directories"]
    assert (row["sequences"], row["compared_with"]) == (900, "source")
    (packs / "notes.txt").write_text("no records")
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False, text=True)
    assert done.returncode == 6
    assert "notes.txt" in json.loads(done.stdout)["where"]

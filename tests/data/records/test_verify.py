"""`verify` reads every record and says where the first wrong one is, and why."""

import os
import shutil

import pytest

from bertkit.data.layout import DataLayout
from bertkit.data.records.tfrecord import (
    read_records,
    write_records,
)
from bertkit.data.records.verify import verify
from bertkit.errors import DataDamaged
from tests.data.spoiling import change_first, changed, longer, without


@pytest.fixture
def copy(sample, tmp_path):
    """A copy of the sample with test records of 128 alone, to be damaged."""
    layout = DataLayout(tmp_path)
    shutil.copytree(str(sample / "vocab"), str(tmp_path / "vocab"))
    source = DataLayout(sample).tfrecord(128)
    shutil.copytree(str(source / "test"), str(layout.tfrecord(128) / "test"))
    return layout


def first_file(layout):
    return sorted(layout.test_records(128).iterdir())[0]


def test_a_whole_sample_is_as_it_should_be(sample):
    checked = verify(sample)
    assert [(c.seq_len, c.directory.name, c.files) for c in checked] == [
        (128, "training", 8), (128, "test", 8), (512, "training", 8), (512, "test", 8),
    ]  # fmt: skip
    assert all(c.records * 5 < c.tokens < c.records * c.seq_len for c in checked)


def swapped_positions(example):
    positions = list(example["masked_lm_positions"])
    positions[:2] = positions[1::-1]
    return {**example, "masked_lm_positions": positions}


def shorter_by_one(example):
    """The mask ends one token early, so that the last token is not [SEP]."""
    used = int(sum(example["input_mask"]))
    change = {}
    for name in ("input_ids", "input_mask", "segment_ids"):
        change[name] = [*example[name][: used - 1], *[0] * (129 - used)]
    return {**example, **change}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (without("segment_ids"), "wanted are"),
        (longer("input_ids"), "input_ids has 129 values, not 128"),
        (longer("masked_lm_ids"), "masked_lm_ids has 21 values, not 20"),
        (longer("next_sentence_labels"), "next_sentence_labels has 2 values"),
        (changed("input_ids", 5, 30522), "not in the vocabulary"),
        (changed("input_ids", 5, -1), "not in the vocabulary"),
        (changed("input_ids", 0, 2000), "begin with [CLS]"),
        (changed("input_mask", 3, 0), "input_mask is not ones and then zeros"),
        (changed("input_mask", 3, 2), "input_mask is not ones and then zeros"),
        (shorter_by_one, "end with [SEP]"),
        (changed("segment_ids", 1, 1), "segment_ids is not"),
        (changed("segment_ids", 1, 3), "segment_ids is not"),
        (changed("masked_lm_weights", 0, 0.0), "masked_lm_weights is not"),
        (changed("masked_lm_weights", 0, 0.5), "masked_lm_weights is not"),
        (changed("masked_lm_positions", 0, 0), "masked_lm_positions are not"),
        (changed("masked_lm_positions", 0, 127), "masked_lm_positions are not"),
        (swapped_positions, "masked_lm_positions are not"),
        (changed("masked_lm_ids", 0, 30522), "masked_lm_ids has a number"),
        (changed("next_sentence_labels", 0, 2), "neither 0 nor 1"),
    ],
)
def test_every_kind_of_wrong_record_is_found(copy, change, reason):
    path = first_file(copy)
    where = change_first(path, lambda record: sum(record["masked_lm_weights"]) > 2, change)
    with pytest.raises(DataDamaged) as caught:
        verify(copy.root)
    assert reason in str(caught.value)
    assert caught.value.where == where
    assert caught.value.exit_code == 6


def test_a_token_in_the_padding_is_found(copy):
    spoilt = changed("input_ids", 127, 7)
    change_first(first_file(copy), lambda record: sum(record["input_mask"]) < 100, spoilt)
    with pytest.raises(DataDamaged, match="padding"):
        verify(copy.root)


def test_a_damaged_byte_is_found(copy):
    path = first_file(copy)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataDamaged, match="checksum") as caught:
        verify(copy.root)
    assert str(path) in caught.value.where


def test_what_is_no_example_is_found(copy):
    write_records(first_file(copy), [b"\x0a\x05text"])
    with pytest.raises(DataDamaged, match="no Example"):
        verify(copy.root)


@pytest.mark.parametrize("content", [b"", b"something"])
def test_a_foreign_file_among_the_records_is_found(copy, content):
    (copy.test_records(128) / "notes.txt").write_bytes(content)
    with pytest.raises(DataDamaged, match=r"notes\.txt"):
        verify(copy.root)


def test_an_empty_file_of_records_is_found(copy):
    first_file(copy).write_bytes(b"")
    with pytest.raises(DataDamaged, match="empty"):
        verify(copy.root)


def test_a_missing_file_and_missing_records_are_found(sample, copy):
    stage = copy.tfrecord(128)
    manifest = DataLayout.manifest(DataLayout(sample).tfrecord(128))
    shutil.copy(str(manifest), str(DataLayout.manifest(stage)))
    path = first_file(copy)
    contents = list(read_records(path))
    write_records(path, contents[:-1])
    with pytest.raises(DataDamaged, match="records in 8 files, but"):
        verify(copy.root)
    path.unlink()
    with pytest.raises(DataDamaged, match="missing or foreign: wikicorpus_en_test_0"):
        verify(copy.root)


def test_a_directory_without_records_is_said_to_be_so(copy):
    shutil.rmtree(str(copy.root / "tfrecord"))
    with pytest.raises(DataDamaged, match="there are no records"):
        verify(copy.root)


def test_records_without_their_vocabulary_are_not_judged(copy):
    copy.vocab.unlink()
    with pytest.raises(DataDamaged, match="vocabulary cannot be read"):
        verify(copy.root)


def test_a_file_that_cannot_be_read_is_named_with_the_reason(copy):
    path = first_file(copy)
    path.unlink()
    path.symlink_to("/proc/self/mem")  # opens, and gives an error of the system's when it is read
    with pytest.raises(DataDamaged) as caught:
        verify(copy.root)
    assert caught.value.where == str(path)
    assert caught.value.why == "Input/output error"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_records_without_permission_are_named_with_the_reason(copy):
    path = first_file(copy)
    path.chmod(0)
    with pytest.raises(DataDamaged) as caught:
        verify(copy.root)
    assert caught.value.where == str(path)
    assert caught.value.why == "Permission denied"

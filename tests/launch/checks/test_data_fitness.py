"""The first records of a few files, a pack's metadata, and the files' number."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any, Callable, Optional

import pytest

from bertkit.data.layout import DataLayout
from bertkit.data.records.tfrecord import encode_example, read_records, write_records
from bertkit.data.stages.manifest import Manifest, describe_files, write_manifest
from bertkit.launch.checks import data_fitness
from bertkit.launch.plan import Request, make_plan
from tests.launch import records_of

RequestFor = Callable[..., Request]
TRAINING = "tfrecord/seq_len_128/wikicorpus_en/training"


@pytest.fixture
def why(request_for: RequestFor, data: Path) -> Callable[[], Optional[str]]:
    """What is wrong with phase 1's data; None: nothing."""

    def ask() -> Optional[str]:
        found = data_fitness.problems(make_plan(request_for("phase1"), os.environ), data)
        assert all(each.exit_code == 6 for each in found)
        return "\n".join(map(str, found)) or None

    return ask


def test_whole_records_of_the_jobs_lengths_are_fit(why: Callable[[], Optional[str]]) -> None:
    assert why() is None


@pytest.mark.parametrize(
    ("feature", "values", "words"),
    [
        ("input_ids", [101] * 512, "input_ids has 512 values, the job wants 128"),
        ("masked_lm_ids", [7] * 76, "masked_lm_ids has 76 values, the job wants 20"),
        ("masked_lm_weights", [1.0] * 3, "masked_lm_weights has 3 values, the job wants 20"),
        ("next_sentence_labels", None, "it has no next_sentence_labels"),
        ("input_ids", [30522] * 128, "the model's vocabulary ends at 30521"),
        ("masked_lm_positions", [128] * 20, "points beyond the sequence"),
    ],
)
def test_a_record_that_the_job_cannot_read_is_named(
    why: Callable[[], Optional[str]], data: Path, feature: str, values: Any, words: str
) -> None:
    features = {**records_of.features(128, 20), feature: values}
    content = encode_example({name: each for name, each in features.items() if each is not None})
    write_records(data / TRAINING / "7.tfrecord", [content])
    said = str(why())
    assert "7.tfrecord, first record" in said
    assert words in said


@pytest.fixture
def made(data: Path) -> Path:
    """The records of phase 1 as a data command leaves them: with a manifest of bertkit's beside."""
    result = data / "tfrecord/seq_len_128/wikicorpus_en"
    file = result / "training/6.tfrecord"
    write_records(file, list(read_records(file)) * 2)
    manifest = Manifest("records 128", {}, {}, {}, describe_files(result))
    write_manifest(DataLayout.manifest(result), manifest, {})
    return result


def test_a_file_that_was_cut_off_after_it_was_made_is_found_by_its_size(
    why: Callable[[], Optional[str]], data: Path, made: Path
) -> None:
    assert why() is None
    file = data / TRAINING / "6.tfrecord"
    whole = file.read_bytes()
    write_records(file, list(read_records(file))[:1])  # whole records: nothing else tells it
    said = str(why())
    assert "training records: a file is not as it was made" in said
    assert str(file) in said
    assert f"{file.stat().st_size:,} bytes; {len(whole):,} bytes when it was made" in said
    assert f"bertkit data wiki --data {data}" in said

    file.unlink()
    (data / TRAINING / "7.tfrecord").write_bytes(b"")
    assert "a file is not as it was made (and 1 more)" in str(why())
    assert "not there; " in str(why())


@pytest.mark.parametrize(
    "text", ["", "[]", '{"outputs": []}', '{"outputs": {"training/6.tfrecord": {"bytes": "x"}}}']
)
def test_a_manifest_that_is_none_says_nothing(
    why: Callable[[], Optional[str]], made: Path, text: str
) -> None:
    DataLayout.manifest(made).write_text(text)
    assert why() is None


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda raw: raw[:5], "ends within the record's length"),
        (lambda raw: raw[:-1], "ends within the record"),
        (lambda raw: b"\x1f\x8b" + raw, "no TFRecord, or compressed"),
        (lambda raw: raw[:300] + bytes([raw[300] ^ 1]) + raw[301:], "checksum of its content"),
    ],
)
def test_a_file_whose_beginning_is_damaged_is_named(
    why: Callable[[], Optional[str]], data: Path, harm: Callable[[bytes], bytes], words: str
) -> None:
    path = data / TRAINING / "0.tfrecord"
    path.write_bytes(harm(path.read_bytes()))
    said = str(why())
    assert "0.tfrecord, first record" in said
    assert words in said


def pack(directory: Path, metadata: Optional[str]) -> None:
    for path in directory.iterdir():
        records_of.write(path, length=128, predictions=20, packed=True)
    if metadata is not None:
        directory.with_name("training_metadata.json").write_text(metadata)


def test_packed_records_with_their_metadata_are_fit(
    why: Callable[[], Optional[str]], data: Path
) -> None:
    pack(data / TRAINING, json.dumps({"avg_seq_per_sample": 2.4}))
    assert why() is None


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        (None, "it is packed, but there is no metadata"),
        ("{", "no avg_seq_per_sample in training_metadata.json"),
        ("{}", "no avg_seq_per_sample in training_metadata.json"),
        ('{"avg_seq_per_sample": "2"}', "is no number: '2'"),
        ('{"avg_seq_per_sample": 0.5}', "is 0.5, not 1 to 3"),
    ],
)
def test_packed_records_without_usable_metadata_are_refused(
    why: Callable[[], Optional[str]], data: Path, metadata: Optional[str], words: str
) -> None:
    pack(data / TRAINING, metadata)
    assert words in str(why())


def test_metadata_beside_records_that_are_not_packed_is_refused(
    why: Callable[[], Optional[str]], data: Path
) -> None:
    metadata = (data / TRAINING).with_name("training_metadata.json")
    metadata.write_text('{"avg_seq_per_sample": 2.4}')
    assert "it is not packed" in str(why())


@pytest.mark.parametrize(
    ("job", "file", "content", "words"),
    [
        ("mrpc", "vocab/uncased/vocab.txt", "the\nof\n", "it has no [CLS] and no [MASK]"),
        ("mrpc", "vocab/uncased/vocab.txt", None, "30523 tokens, the model has 30522"),
        ("mrpc", "MRPC/dev.tsv", "", "dev.tsv has 1 columns, not 5"),
        ("mrpc", "MRPC/train.tsv", "Quality\tA\tB\tC\tD\n", "train.tsv has a heading only"),
        ("squad", "SQuAD/train-v1.1.json", "<html>", "it is no JSON object"),
        ("squad", "SQuAD/train-v1.1.json", '{"data": [', "it is cut off"),
    ],
)
def test_texts_that_fine_tuning_cannot_read_are_named(
    request_for: RequestFor, data: Path, job: str, file: str, content: Optional[str], words: str
) -> None:
    special = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n"
    text = special + "a\n" * 30518 if content is None else content
    (data / file).parent.mkdir(exist_ok=True)
    (data / file).write_text(text)
    found = data_fitness.problems(make_plan(request_for(job), os.environ), data)
    assert words in "\n".join(map(str, found))


def test_what_is_missing_comes_with_the_command_for_this_data_directory(
    request_for: RequestFor, data: Path
) -> None:
    plan = make_plan(request_for("phase1"), os.environ)
    shutil.rmtree(data / TRAINING)
    (found,) = data_fitness.problems(plan, data)
    assert f"bertkit data wiki --data {data} makes" in str(found)

"""Packs have all sequences exactly once, in the form that upstream's trainer reads."""

import json
import random
import subprocess
import sys

import pytest

from bertkit.data.packing.metadata import metadata_path
from bertkit.data.packing.packer import Request
from bertkit.data.packing.stage import pack
from bertkit.data.records.tfrecord import (
    decode_example,
    encode_example,
    field,
    read_records,
    write_records,
)
from tests.data.packing.records import PREDICTIONS, TOKENS, record, sequences_of


def examples(directory):
    return [
        decode_example(content)
        for path in sorted(directory.iterdir())
        for content in read_records(path)
    ]


def all_bytes(output):
    files = [*output.iterdir(), metadata_path(output)]
    return {path.name: path.read_bytes() for path in files}


def request(source, output, **changes):
    return Request(source, output, **{"ranks": 4, "window": 256, "workers": 2, **changes})


def test_every_sequence_is_in_the_packs_exactly_once(source, tmp_path):
    done = pack(request(source, tmp_path / "packs" / "training"))
    packed = [each for pack in examples(done.output) for each in sequences_of(pack)]
    assert sorted(packed) == sorted(
        each for record in examples(source) for each in sequences_of(record)
    )
    assert done.counts["sequences"] == 900
    assert done.counts["packs"] >= done.counts["least_packs"] > 300


def test_a_pack_has_the_features_of_the_format(source, tmp_path):
    output = pack(request(source, tmp_path / "packs" / "training")).output
    sizes = set()
    for example in examples(output):
        members = sequences_of(example)
        sizes.add(len(members))
        lengths = [len(ids) for ids, *_ in members]
        padding, absent = TOKENS - sum(lengths), 3 - len(members)
        begins = [sum(lengths[:index]) for index in range(len(lengths))]
        assert {name: len(values) for name, values in example.items()} == {
            **dict.fromkeys(["input_ids", "input_mask", "segment_ids", "positions"], TOKENS),
            **dict.fromkeys(
                ["masked_lm_positions", "masked_lm_ids", "masked_lm_weights"], PREDICTIONS + 3
            ),
            **dict.fromkeys(
                ["next_sentence_positions", "next_sentence_labels", "next_sentence_weights"], 3
            ),
        }
        assert example["positions"] == [
            *[place for length in lengths for place in range(length)], *[0] * padding
        ]  # fmt: skip
        assert example["next_sentence_positions"] == [*begins, *[0] * absent]
        assert example["next_sentence_weights"] == [*[1.0] * len(members), *[0.0] * absent]
        assert example["next_sentence_labels"][len(members) :] == [0] * absent
        masked = [index for index, each in enumerate(members, 1) for _ in each[2]]
        assert example["masked_lm_weights"] == [*masked, *[0] * (PREDICTIONS + 3 - len(masked))]
        for name in ("input_ids", "segment_ids", "input_mask"):
            assert not any(example[name][TOKENS - padding :])
    assert sizes == {1, 2, 3}


def test_sequences_may_all_be_shorter_than_a_record(tmp_path):
    source = tmp_path / "records"
    source.mkdir()
    rng = random.Random(1)
    write_records(source / "0", [record(10 + n % 3, rng) for n in range(60)])
    done = pack(request(source, tmp_path / "packs" / "training", ranks=1))
    assert done.counts["packs"] == 20


def test_files_are_of_equal_size_and_a_multiple_of_the_ranks(source, tmp_path):
    done = pack(request(source, tmp_path / "packs" / "training", ranks=5))
    sizes = [len(list(read_records(path))) for path in done.output.iterdir()]
    assert len(sizes) == 5
    assert max(sizes) - min(sizes) <= 1
    assert sum(sizes) == done.counts["packs"]


def test_packs_are_shuffled(source, tmp_path):
    output = pack(request(source, tmp_path / "packs" / "training")).output
    first = sorted(output.iterdir())[0]
    kinds = [
        tuple(len(ids) for ids, *_ in sequences_of(decode_example(content)))
        for content in read_records(first)
    ]
    assert kinds != sorted(kinds)
    assert len(set(kinds[: len(kinds) // 4])) > 5


def test_the_metadata_has_upstreams_keys_and_true_values(source, tmp_path):
    done = pack(request(source, tmp_path / "packs" / "training"))
    told = json.loads(done.metadata.read_text())
    packs, tokens = examples(done.output), sum(
        sum(record["input_mask"]) for record in examples(source)
    )  # fmt: skip
    assert {key: told[key] for key in told if key != "top_8_strategies"} == {
        "avg_seq_per_sample": pytest.approx(900 / len(packs)),
        "compression_ratio": pytest.approx(1 - len(packs) / 900),
        "expected_speedup": pytest.approx(900 / len(packs)),
        "new_number_of_samples": len(packs),
        "num_strategies_utilized": told["num_strategies_utilized"],
        "original_number_of_samples": 900,
        "packing_efficiency": pytest.approx(tokens / TOKENS / len(packs)),
        "padding_tokens_original_dataset": TOKENS * 900 - tokens,
        "padding_tokens_packed_dataset": TOKENS * len(packs) - tokens,
        "sequences_dropped": 0,
        "theoretical_speedup": pytest.approx(TOKENS * 900 / tokens),
    }
    assert len(told["top_8_strategies"]) == 8


def test_bytes_depend_on_the_seed_and_not_on_the_workers(source, tmp_path):
    made = []
    for number, workers in enumerate((1, 2, 5)):
        output = tmp_path / f"packs-{number}" / "corpus" / "training"
        made.append(all_bytes(pack(request(source, output, workers=workers)).output))
    assert made[0] == made[1] == made[2]
    other = pack(request(source, tmp_path / "packs-7" / "corpus" / "training", seed=7))
    assert all_bytes(other.output) != made[0]


def test_records_of_other_writers_are_understood(source, tmp_path):
    """Features in another order in each record, and one record in a very unusual way."""
    wanted = all_bytes(pack(request(source, tmp_path / "packs-1" / "corpus" / "training")).output)
    for path in source.iterdir():
        rewritten = []
        for number, content in enumerate(read_records(path)):
            example = decode_example(content)
            names = list(example)
            turned = names[number % 7 :] + names[: number % 7]
            rewritten.append(encode_example({name: example[name] for name in turned}))
        rewritten[5] = in_two_pieces(decode_example(rewritten[5]))
        write_records(path, rewritten)
    output = tmp_path / "packs-2" / "corpus" / "training"
    assert all_bytes(pack(request(source, output)).output) == wanted


def in_two_pieces(example):
    """The same record in two messages, which protobuf merges, with a label that is not packed."""
    name = "next_sentence_labels"
    label = field(3, bytes([0x08, *example[name]]))
    entry = field(1, field(1, name.encode()) + field(2, label))
    rest = {key: values for key, values in example.items() if key != name}
    return encode_example(rest) + field(1, entry)


def test_a_directory_that_is_packed_is_not_packed_again(source, tmp_path):
    output = tmp_path / "packs" / "training"
    assert pack(request(source, output)).state == "made"
    before = {path: path.stat().st_mtime_ns for path in output.iterdir()}
    assert pack(request(source, output)).state == "was there"
    assert {path: path.stat().st_mtime_ns for path in output.iterdir()} == before
    assert pack(request(source, output, seed=3)).state == "made"


def test_a_dry_run_says_what_would_come_and_changes_nothing(source, tmp_path):
    output = tmp_path / "packs" / "training"
    planned = pack(request(source, output), dry_run=True)
    assert not output.parent.exists()
    assert planned.state == "would be made"
    assert planned.counts == pack(request(source, output)).counts


def test_the_command_packs_in_upstreams_places(source, tmp_path):
    root = tmp_path / "data"
    place = root / "tfrecord" / "seq_len_48" / "corpus"
    place.mkdir(parents=True)
    source.rename(place / "training")
    command = [sys.executable, "-m", "bertkit", "data", "pack", "--data", str(root),
               "--seq-length", "48", "--ranks", "2", "--json"]  # fmt: skip
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    result = json.loads(done.stdout)
    packed = root / "tfrecord_packed" / "seq_len_48" / "corpus"
    assert result["output"] == str(packed / "training")
    assert sorted(path.name for path in packed.iterdir() if path.name[0] != ".") == [
        "training", "training.manifest.json", "training_metadata.json"
    ]  # fmt: skip
    assert result["files"] == len(list((packed / "training").iterdir())) == 2
    assert 0.9 < result["efficiency"] <= result["best_efficiency"] <= 1

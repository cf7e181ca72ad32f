"""A real dump to records by bertkit and by upstream 1.13.0's script: the same kind of records.

What differs is chance, so that shares and lengths are compared by tests of statistics. Seeds are
fixed: a test that passes once passes always.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Sequence

import pytest

from bertkit.data.instances.pairs import pairs_of_shard
from bertkit.data.instances.tokenized import tokenize
from bertkit.data.instances.tokens import WordPieces, read_vocabulary
from bertkit.data.layout import PREDICTIONS, DataLayout
from bertkit.data.records.tfrecord import decode_example, read_records
from bertkit.data.samples import sources

pytestmark = [pytest.mark.real, pytest.mark.tensorflow]

ENGINES = ("native", "upstream")
#: of a difference as large as the one that is found, if there were none
LEAST_PROBABILITY = 0.001
SEEDS = 16


class Work(NamedTuple):
    directory: Path
    native: DataLayout
    upstream: DataLayout


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory, upstream_url: str) -> Work:
    """Sentences by bertkit, and records of them by either engine."""
    pytest.importorskip("tensorflow")
    pytest.importorskip("h5py")
    directory = tmp_path_factory.mktemp("wiki")
    work = Work(directory, DataLayout(directory / "native"), DataLayout(directory / "upstream"))
    bertkit(directory, "prepare-repo", "--synapse-version", "1.13.0", "--upstream", upstream_url)
    work.native.vocab.parent.mkdir(parents=True)
    work.native.vocab.write_bytes(sources.uncased_vocabulary())
    shards = ("--shards", "2", "--dupe-factor", "2")
    bertkit(directory, "data", "wiki", "--data", "native", "--dump", str(sources.sample_dump()),
            *shards)  # fmt: skip
    for name in ("vocab", "sharded"):
        shutil.copytree(str(work.native.root / name), str(work.upstream.root / name))
    bertkit(directory, "data", "wiki", "--data", "upstream", "--start-at", "records",
            "--engine", "upstream", *shards)  # fmt: skip
    return work


def bertkit(directory: Path, *arguments: str) -> Dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "bertkit", *arguments, "--json"],
        stdout=subprocess.PIPE, text=True, check=True, cwd=directory,
    )  # fmt: skip
    result: Dict[str, Any] = json.loads(done.stdout)
    return result


class Seen(NamedTuple):
    """What the training records of one length by one engine are like."""

    examples: List[Dict[str, List[float]]]
    lengths: List[int]
    predictions: List[int]
    shown: List[int]  # predicted tokens that show [MASK], another token, themselves
    random_next: int


@pytest.fixture(scope="module", params=PREDICTIONS, ids=lambda seq_len: f"{seq_len} tokens")
def seen(request: pytest.FixtureRequest, work: Work, upstream_url: str) -> Dict[str, Seen]:
    mask = read_vocabulary(work.native.vocab)["[MASK]"]
    return {
        "native": look(work.native.training_records(request.param), mask),
        "upstream": look(work.upstream.training_records(request.param), mask),
    }


def look(directory: Path, mask: int) -> Seen:
    examples = [
        decode_example(content)
        for path in sorted(directory.iterdir())
        for content in read_records(path)
    ]
    shown = [0, 0, 0]
    for example in examples:
        columns = (example[f"masked_lm_{name}"] for name in ("positions", "ids", "weights"))
        for position, label, weight in zip(*columns):
            if weight:
                token = example["input_ids"][int(position)]
                shown[0 if token == mask else 2 if token == label else 1] += 1
    return Seen(
        examples,
        [int(sum(example["input_mask"])) for example in examples],
        [int(sum(example["masked_lm_weights"])) for example in examples],
        shown,
        sum(int(example["next_sentence_labels"][0]) for example in examples),
    )


def test_names_and_numbers_of_values_are_upstreams(seen: Dict[str, Seen]) -> None:
    shapes = [
        Counter(
            tuple(sorted((name, len(values), type(values[0])) for name, values in example.items()))
            for example in seen[engine].examples
        )
        for engine in ENGINES
    ]
    assert set(shapes[0]) == set(shapes[1])
    assert len(shapes[0]) == 1


def same_shares(*counts: Sequence[int]) -> float:
    from scipy.stats import chi2_contingency

    return float(chi2_contingency(list(counts))[1])


def test_mask_other_token_and_itself_are_shown_as_often_as_by_upstream(
    seen: Dict[str, Seen],
) -> None:
    from scipy.stats import chisquare

    ours, theirs = (seen[engine].shown for engine in ENGINES)
    assert same_shares(ours, theirs) > LEAST_PROBABILITY
    assert chisquare(ours, [sum(ours) * share for share in (0.8, 0.1, 0.1)])[1] > LEAST_PROBABILITY


def test_b_is_as_often_from_another_document(seen: Dict[str, Seen]) -> None:
    counts = [
        (seen[engine].random_next, len(seen[engine].examples) - seen[engine].random_next)
        for engine in ENGINES
    ]
    assert same_shares(*counts) > LEAST_PROBABILITY


def test_sequences_are_as_long(work: Work, seen: Dict[str, Seen]) -> None:
    """A short target holds for a whole document, so that lengths differ between seeds by more than
    independent draws would: upstream's mean is compared with those of many seeds of bertkit's.
    """
    from statistics import mean, stdev

    pieces = WordPieces(read_vocabulary(work.native.vocab))
    texts = [
        tokenize(work.native.sharded / work.native.shard_name("training", number), pieces)
        for number in range(2)
    ]
    seq_len = len(seen["native"].examples[0]["input_ids"])
    means = []
    for seed in range(SEEDS):
        pairs = [
            pairs_of_shard(text.documents, seq_len, 2, (seed, number))
            for number, text in enumerate(texts)
        ]
        lengths = [min(int(b - a + d - c) + 3, seq_len) for each in pairs for a, b, c, d, _ in each]
        means.append(mean(lengths))
    for engine in ENGINES:
        assert abs(mean(seen[engine].lengths) - mean(means)) < 3 * stdev(means)


def test_as_many_tokens_of_a_length_are_predicted(seen: Dict[str, Seen]) -> None:
    per_length: List[Dict[int, int]] = [
        dict(zip(seen[engine].lengths, seen[engine].predictions)) for engine in ENGINES
    ]
    for engine, of in zip(ENGINES, per_length):
        for length, count in zip(seen[engine].lengths, seen[engine].predictions):
            assert of[length] == count  # a number that the length decides
    both = set(per_length[0]) & set(per_length[1])
    assert len(both) > 20
    assert [per_length[0][length] for length in both] == [per_length[1][length] for length in both]


def test_token_ids_are_those_of_upstreams_tokenizer(work: Work, seen: Dict[str, Seen]) -> None:
    """Each first segment that upstream made stands, id for id, in the text as bertkit has it."""
    pieces = WordPieces(read_vocabulary(work.native.vocab))
    texts = [
        tokenize(work.native.sharded / work.native.shard_name("training", number), pieces)
        .ids.astype("<i4").tobytes()
        for number in range(2)
    ]  # fmt: skip
    examples = seen["upstream"].examples[:300]
    for segment in first_segments(examples):
        assert any(segment in text for text in texts)
    assert len(examples) == 300


def first_segments(examples: Sequence[Dict[str, List[float]]]) -> Iterator[bytes]:
    import numpy as np

    for example in examples:
        ids = np.array(example["input_ids"], dtype="<i4")
        used = int(sum(example["masked_lm_weights"]))
        positions = np.array(example["masked_lm_positions"][:used], dtype=int)
        ids[positions] = example["masked_lm_ids"][:used]
        length = int(sum(example["input_mask"]) - sum(example["segment_ids"]))
        yield ids[1 : length - 1].tobytes()

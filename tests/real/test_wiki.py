"""A real dump to records, bertkit and upstream 1.13.0's scripts in turn: the same kind of records.

What differs is chance, so that shares and lengths are compared by tests of statistics. Seeds are
fixed: a test that passes once passes always.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Sequence, Tuple

import pytest

from bertkit.data.chance import Draws, seeded
from bertkit.data.instances import pairs
from bertkit.data.instances.tokenized import tokenize
from bertkit.data.instances.tokens import WordPieces, read_vocabulary
from bertkit.data.layout import PREDICTIONS, DataLayout
from bertkit.data.records.tfrecord import decode_example, read_records
from bertkit.data.samples import sources
from tests.data.punkt import write_punkt

pytestmark = [pytest.mark.real, pytest.mark.tensorflow]

ENGINES = ("native", "upstream")
#: of a difference as large as the one that is found, if there were none
LEAST_PROBABILITY = 0.001


class Work(NamedTuple):
    directory: Path
    native: DataLayout
    upstream: DataLayout
    told: Dict[str, Dict[str, Any]]  # what the last command of each said


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory, upstream_url: str) -> Work:
    """Records by either engine, of text that both had a part in.

    The shards are upstream's, of articles that bertkit and upstream put into lines; the same
    sentences, as a test below says.
    """
    pytest.importorskip("tensorflow")
    pytest.importorskip("h5py")
    pytest.importorskip("nltk")
    directory = tmp_path_factory.mktemp("wiki")
    native, upstream = DataLayout(directory / "native"), DataLayout(directory / "upstream")
    bertkit(directory, "prepare-repo", "--synapse-version", "1.13.0", "--upstream", upstream_url)
    native.vocab.parent.mkdir(parents=True)
    native.vocab.write_bytes(sources.uncased_vocabulary())
    wiki = ("data", "wiki", "--shards", "2", "--dupe-factor", "2", "--data")
    bertkit(directory, *wiki, "native", "--dump", str(sources.sample_dump()), "--until", "format")
    write_punkt(native.formatted.read_text(encoding="utf-8"), directory / "nltk_data")
    for name in ("vocab", "extracted"):
        shutil.copytree(str(native.root / name), str(upstream.root / name))
    bertkit(directory, *wiki, "native", "--start-at", "shard", "--until", "shard",
            "--engine", "upstream")  # fmt: skip
    told = {
        "native": bertkit(directory, *wiki, "native", "--start-at", "records"),
        "upstream": bertkit(directory, *wiki, "upstream", "--start-at", "format",
                            "--engine", "upstream"),
    }  # fmt: skip
    return Work(directory, native, upstream, told)


def bertkit(directory: Path, *arguments: str) -> Dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "bertkit", *arguments, "--json"],
        stdout=subprocess.PIPE, text=True, check=True, cwd=directory,
        env={**os.environ, "NLTK_DATA": str(directory / "nltk_data")},
    )  # fmt: skip
    result: Dict[str, Any] = json.loads(done.stdout)
    return result


def test_each_engine_goes_on_where_the_other_stopped(work: Work, upstream_url: str) -> None:
    for engine, stages in (("native", 2), ("upstream", 4)):
        states = [each["state"] for each in work.told[engine]["stages"]]
        assert states == ["made"] * stages
    ours, theirs = (
        {
            path.relative_to(layout.sharded): path.read_bytes()
            for path in layout.sharded.rglob("*.txt")
        }
        for layout in (work.native, work.upstream)
    )
    assert len(ours) == 4
    assert ours == theirs  # upstream's shards of bertkit's articles and of its own
    assert work.native.formatted.read_bytes() == work.upstream.formatted.read_bytes().replace(
        b" \n", b"\n"
    )


def test_bertkit_packs_and_verifies_what_upstream_made(work: Work, upstream_url: str) -> None:
    packed = bertkit(work.directory, "data", "pack", "--data", "upstream", "--phase", "1")
    stages = {each["stage"]: each["counts"] for each in work.told["upstream"]["stages"]}
    assert packed["sequences"] == stages["records 128"]["training_records"]
    for name in ENGINES:
        checked = bertkit(work.directory, "data", "verify", name)["directories"]
        assert len(checked) == (5 if name == "upstream" else 4)


class Seen(NamedTuple):
    """What the training records of one length by one engine are like."""

    examples: List[Dict[str, List[float]]]
    lengths: List[int]
    predictions: List[int]
    shown: List[int]  # predicted tokens that show [MASK], another token, themselves


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


#: of each engine for each document and pass over it: tokens of A, tokens of B, is B random
Passes = List[List[List[Tuple[int, int, int]]]]

DOCUMENTS, SENTENCES, PASSES, SEQ_LEN = 12, 10, 600, 128


@pytest.fixture(scope="module")
def passes(work: Work) -> Dict[str, Passes]:
    """The beginnings of some documents, gone through many times by either engine."""
    vocabulary = read_vocabulary(work.native.vocab)
    shard = work.native.sharded / work.native.shard_name("training", 0)
    text = tokenize(shard, WordPieces(vocabulary))
    documents = [edges[: SENTENCES + 1] for edges in text.documents if len(edges) > SENTENCES]
    del documents[DOCUMENTS:]
    tokens = {number: token for token, number in vocabulary.items()}
    words = [
        [[tokens[int(i)] for i in text.ids[a:b]] for a, b in zip(edges, edges[1:])]
        for edges in documents
    ]
    program = Path(__file__).with_name("upstream_instances.py")
    done = subprocess.run(
        [sys.executable, str(program), str(work.directory / "Model-References"), str(SEQ_LEN),
         str(PASSES)], input=json.dumps(words), stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as changed:
        changed.setattr(pairs, "SHORT_SEQ_PROB", 0.06)
        other = list(own_passes(documents))
    native = list(own_passes(documents))
    return {"upstream": json.loads(done.stdout), "native": native, "fewer short": other}


def own_passes(documents: List[List[int]]) -> Iterator[List[List[Tuple[int, int, int]]]]:
    import numpy as np

    for index in range(len(documents)):
        rng = seeded("passes", index)
        made = [
            list(pairs.pairs_of_document(documents, index, SEQ_LEN - 3, rng)) for _ in range(PASSES)
        ]
        rows = np.array([pair for each in made for pair in each], dtype=np.int64)
        cut = iter(pairs.truncated(rows, SEQ_LEN - 3, Draws("passes", index)).tolist())
        yield [[(b - a, d - c, e) for a, b, c, d, e in (next(cut) for _ in each)] for each in made]


#: one number for a pass over a document. Passes are independent, as instances of one are not:
#: a short target holds for a whole document, and gives it many instances of single sentences, whose
#: B is always random (of the records of 512 from the sample between 50 % and 63 %, by the seed).
OF_A_PASS: Dict[str, Callable[[List[Tuple[int, int, int]]], int]] = {
    "instances": len,
    "tokens": lambda made: sum(a + b for a, b, _ in made),
    "tokens of A": lambda made: sum(a for a, _, _ in made),
    "the shortest": lambda made: min((a + b for a, b, _ in made), default=0),
    "all are short": lambda made: all(a + b < SEQ_LEN * 3 // 4 for a, b, _ in made),
    "full ones": lambda made: sum(a + b == SEQ_LEN - 3 for a, b, _ in made),
    "A has one more": lambda made: sum(a - b == 1 and a + b == SEQ_LEN - 3 for a, b, _ in made),
    "random B": lambda made: sum(random for _, _, random in made),
    "the first is random": lambda made: made[0][2] if made else 2,
}


@pytest.mark.parametrize("what", OF_A_PASS)
def test_passes_over_a_document_give_as_many_instances_as_long(
    passes: Dict[str, Passes], what: str
) -> None:
    assert len(passes["native"]) == len(passes["upstream"]) == DOCUMENTS
    ours, theirs = (of_passes(passes[engine], what) for engine in ENGINES)
    assert same_distributions(ours, theirs) > LEAST_PROBABILITY


def test_the_comparison_notices_short_targets_that_are_less_often(
    passes: Dict[str, Passes],
) -> None:
    """6 of 100 passes instead of 10: a test that cannot fail would be none."""
    fewer, theirs = (of_passes(passes[e], "all are short") for e in ("fewer short", "upstream"))
    assert same_distributions(fewer, theirs) < LEAST_PROBABILITY


def of_passes(passes: Passes, what: str) -> List[List[int]]:
    return [[int(OF_A_PASS[what](made)) for made in of] for of in passes]


def same_distributions(ours: List[List[int]], theirs: List[List[int]]) -> float:
    """Of small numbers by a table of all, of others by their order for each document."""
    from scipy.stats import combine_pvalues, ks_2samp

    values = [Counter(number for of in each for number in of) for each in (ours, theirs)]
    both = values[0] + values[1]
    if len(both) > 20:
        found = [ks_2samp(*each, method="asymp")[1] for each in zip(ours, theirs)]
        return float(combine_pvalues(found)[1])
    common = [number for number, count in both.items() if count >= 20]
    rest = [sum(each.values()) - sum(each[number] for number in common) for each in values]
    table = [[each[number] for number in common] for each in values]
    if any(rest):
        table = [[*row, more] for row, more in zip(table, rest)]
    return same_shares(*table)


def test_predicted_tokens_lie_anywhere(seen: Dict[str, Seen]) -> None:
    from scipy.stats import ks_2samp

    places = [
        [
            position / length
            for example, length, count in zip(*seen[engine][:3])
            for position in example["masked_lm_positions"][:count]
        ]
        for engine in ENGINES
    ]
    assert ks_2samp(*places, method="asymp")[1] > LEAST_PROBABILITY


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

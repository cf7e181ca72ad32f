"""``bertkit data sample``: from real text to all that training needs, small, without a network."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Dict, List, NamedTuple, Optional

from bertkit.data.chance import seeded
from bertkit.data.instances.stage import RecordSettings, Vocabulary, records_stage
from bertkit.data.instances.tokens import UNCASED_SHA256
from bertkit.data.layout import PREDICTIONS, DataLayout
from bertkit.data.samples import glue, sources, squad
from bertkit.data.stages.manifest import Stage
from bertkit.data.stages.parts import PartsStage
from bertkit.data.stages.pipeline import Done, Known, Maker, carry_out_all, look_at_all
from bertkit.data.stages.workers import cores
from bertkit.data.wikipedia.extraction import extraction
from bertkit.data.wikipedia.formatting import format_stage
from bertkit.data.wikipedia.sharding import CorpusShards, read_documents, shard_stage
from bertkit.files import write_atomic

#: below this many files a rank of eight would have none
LEAST_SHARDS = 8
#: for more, the sample's 103 articles are too few
MOST_SHARDS = 16
SEED = 12345  # upstream's --random_seed
DUPLICATES = 2
TEST_FRACTION = 0.1

NOTE = (
    "MRPC and SQuAD here are small sets made from Wikipedia text in the true formats; "
    "scores on them say nothing about the real ones (README.txt beside each)."
)


class _Context(NamedTuple):
    layout: DataLayout
    shards: int
    seed: int
    workers: int


def make_sample(
    root: Path,
    *,
    shards: int = LEAST_SHARDS,
    seed: int = SEED,
    workers: Optional[int] = None,
    dry_run: bool = False,
) -> List[Done]:
    """Make what is not there yet; gives all stages in order.

    Args:
        root: the data directory, made if missing.
        shards: training files, and as many test files, of each sequence length.
        seed: decides all that is random; the same seed gives the same bytes on every Python.
        workers: processes; by default one a core. They change no byte.
        dry_run: say what would be made and change nothing.

    Raises:
        EnvironmentUnfit: a package of the extra ``sample`` is missing, or the directory cannot be
            written.
        BertkitError: the directory has files that bertkit did not make.
    """
    sources.require_libraries()
    dump, vocabulary = sources.sample_dump(), sources.uncased_vocabulary()
    context = _Context(DataLayout(root), shards, seed, workers or cores())
    makers = _makers(context, dump, vocabulary)
    if dry_run:
        return look_at_all(makers, context.layout)
    return carry_out_all(makers, context.layout, context.workers)


def _makers(context: _Context, dump: Path, vocabulary: bytes) -> List[Maker]:
    layout, seed = context.layout, context.seed

    def vocab(_: Known) -> Stage:
        return Stage(
            "vocabulary", layout.vocab.parent, {"vocab.txt": UNCASED_SHA256}, {"lowercase": True},
            lambda place: _write_vocabulary(place, vocabulary),
        )  # fmt: skip

    def extracted(_: Known) -> PartsStage:
        return extraction(layout, dump, None, sources.DUMP_SHA256)

    def articles(known: Known) -> Stage:
        return format_stage(layout, known["extracted"])

    def sentences(known: Known) -> Stage:
        shape = CorpusShards(layout, context.shards, TEST_FRACTION, seed)
        return shard_stage(shape, known["articles"], context.workers)

    def records(known: Known) -> PartsStage:
        settings = [
            RecordSettings(seq_len, most, DUPLICATES, seed) for seq_len, most in PREDICTIONS.items()
        ]
        uncased = Vocabulary(layout.vocab, UNCASED_SHA256)
        return records_stage(layout, known["sentences"], uncased, settings)

    def task(name: str, output: Path, write: _Writer) -> Callable[[Known], Stage]:
        def maker(known: Known) -> Stage:
            return Stage(
                name, output, {"sentences": known["sentences"].fingerprint},
                {"seed": seed, "rules": 1},
                lambda place: write(place, _documents(context), seeded(seed, name)),
            )  # fmt: skip

        return maker

    return [
        vocab,
        extracted,
        articles,
        sentences,
        records,
        task("MRPC", layout.mrpc, glue.write_mrpc),
        task("SQuAD", layout.squad, squad.write_squad),
    ]


_Writer = Callable[..., Dict[str, int]]


def _write_vocabulary(place: Path, content: bytes) -> Dict[str, int]:
    place.mkdir()
    write_atomic(place / "vocab.txt", content)
    return {"tokens": content.count(b"\n")}


def _documents(context: _Context) -> Dict[str, List[List[str]]]:
    layout = context.layout
    return {
        split: [
            document
            for number in range(context.shards)
            for document in read_documents(layout.sharded / layout.shard_name(split, number))
        ]
        for split in ("training", "test")
    }

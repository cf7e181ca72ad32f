"""``bertkit data sample``: from real text to all that training needs, small, without a network."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Callable, Dict, List, NamedTuple, Optional

from bertkit.data import glue, sources, squad
from bertkit.data.chance import seeded
from bertkit.data.corpus import (
    CorpusShards,
    RecordSettings,
    read_documents,
    write_one_article_per_line,
    write_records_of_shards,
    write_shards,
)
from bertkit.data.layout import PREDICTIONS, DataLayout
from bertkit.data.manifest import Manifest, Stage, carry_out, finished
from bertkit.data.tokens import UNCASED_SHA256
from bertkit.data.workers import cores
from bertkit.errors import EnvironmentUnfit
from bertkit.files import exclusive, write_atomic

log = logging.getLogger("bertkit.data")

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


class Done(NamedTuple):
    """One stage of the sample as it stands at the end."""

    stage: str
    output: Path
    state: str  # "made", "was there", or with a dry run "would be made"
    counts: Dict[str, int]


class _Context(NamedTuple):
    layout: DataLayout
    shards: int
    seed: int
    workers: int


# A stage is known when those before it are done: its inputs are their sums.
_Known = Dict[str, Manifest]


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
        return _looked_at(makers)
    try:
        with exclusive(context.layout.lock, purpose=f"bertkit data sample --data {root}"):
            return _carried_out(makers, context.layout)
    except OSError as error:
        raise EnvironmentUnfit(
            "the sample cannot be written",
            where=error.filename or root,
            why=error.strerror or str(error),
            next_step="give a directory with room that you may write to with --data",
        ) from None


def _carried_out(makers: List[Callable[[_Known], Stage]], layout: DataLayout) -> List[Done]:
    known: _Known = {}
    results = []
    for maker in makers:
        stage = maker(known)
        started = time.monotonic()
        manifest, was_there = carry_out(stage, layout)
        known[stage.name] = manifest
        if not was_there:
            _log_progress(stage.name, manifest.counts, time.monotonic() - started)
        results.append(
            Done(stage.name, stage.output, "was there" if was_there else "made", manifest.counts)
        )
    return results


def _looked_at(makers: List[Callable[[_Known], Stage]]) -> List[Done]:
    known: _Known = {}
    results = []
    for maker in makers:
        try:
            stage = maker(known)
        except KeyError:  # reads what is not made yet
            stage = maker(_Unknown(known))
        manifest = finished(stage)
        if manifest is not None:
            known[stage.name] = manifest
        state = "was there" if manifest else "would be made"
        results.append(Done(stage.name, stage.output, state, manifest.counts if manifest else {}))
    return results


class _Unknown(Dict[str, Manifest]):
    """Stands for stages that are not done: nothing that reads them can be done either."""

    def __missing__(self, name: str) -> Manifest:
        return Manifest(name, {}, {}, {}, {})


def _log_progress(name: str, counts: Dict[str, int], seconds: float) -> None:
    told = ", ".join(f"{count:,} {what.replace('_', ' ')}" for what, count in counts.items())
    what, most = max(counts.items(), key=lambda item: item[1])
    rate = f" ({most / max(seconds, 1e-9):,.0f} {what.replace('_', ' ')}/s)" if most > 999 else ""
    log.info("%s: %s in %.1f s%s", name, told, seconds, rate)


def _makers(context: _Context, dump: Path, vocabulary: bytes) -> List[Callable[[_Known], Stage]]:
    layout, seed = context.layout, context.seed

    def vocab(_: _Known) -> Stage:
        return Stage(
            "vocabulary", layout.vocab.parent, {"vocab.txt": UNCASED_SHA256}, {"lowercase": True},
            lambda place: _write_vocabulary(place, vocabulary),
        )  # fmt: skip

    def formatted(_: _Known) -> Stage:
        return Stage(
            "articles", layout.formatted, {"dump": sources.DUMP_SHA256}, {"rules": 1},
            lambda place: write_one_article_per_line(dump, place),
        )  # fmt: skip

    def sharded(known: _Known) -> Stage:
        settings = {"shards": context.shards, "test_fraction": TEST_FRACTION, "seed": seed}
        shape = CorpusShards(layout, context.shards, TEST_FRACTION, seed)
        return Stage(
            "sentences", layout.sharded, {"articles": known["articles"].fingerprint},
            {**settings, "rules": 1},
            lambda place: write_shards(layout.formatted, place, shape, context.workers),
            _versions("syntok"),
        )  # fmt: skip

    def records(seq_len: int) -> Callable[[_Known], Stage]:
        def maker(known: _Known) -> Stage:
            settings = RecordSettings(seq_len, PREDICTIONS[seq_len], DUPLICATES, seed)
            return Stage(
                f"records {seq_len}", layout.tfrecord(seq_len),
                {"sentences": known["sentences"].fingerprint, "vocab.txt": UNCASED_SHA256},
                {**settings._asdict(), "rules": 1},
                lambda place: write_records_of_shards(
                    layout, place, context.shards, settings, context.workers
                ),
                _versions("tokenizers"),
            )  # fmt: skip

        return maker

    def task(name: str, output: Path, write: _Writer) -> Callable[[_Known], Stage]:
        def maker(known: _Known) -> Stage:
            return Stage(
                name, output, {"sentences": known["sentences"].fingerprint},
                {"seed": seed, "rules": 1},
                lambda place: write(place, _documents(context), seeded(seed, name)),
            )  # fmt: skip

        return maker

    return [
        vocab,
        formatted,
        sharded,
        *[records(seq_len) for seq_len in PREDICTIONS],
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


def _versions(*packages: str) -> Dict[str, str]:
    from importlib.metadata import version

    return {package: version(package) for package in packages}

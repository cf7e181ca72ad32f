"""``bertkit data wiki``: from a dump of Wikipedia to records, stage by stage."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Callable, Dict, List, NamedTuple, Optional, Union

from bertkit.data.instances.stage import RecordSettings, Vocabulary, records_stage
from bertkit.data.instances.tokens import read_vocabulary
from bertkit.data.instances.upstream import records_script, upstream_records_stage
from bertkit.data.layout import PREDICTIONS, DataLayout
from bertkit.data.stages.attendance import PATIENCE
from bertkit.data.stages.manifest import Stage
from bertkit.data.stages.parts import PartsStage
from bertkit.data.stages.pipeline import Done, Known, Maker, carry_out_all, look_at_all
from bertkit.data.stages.shares import Share
from bertkit.data.wikipedia.extraction import extraction
from bertkit.data.wikipedia.formatting import format_stage
from bertkit.data.wikipedia.sharding import CorpusShards, shard_stage
from bertkit.data.wikipedia.taken import text_there
from bertkit.data.wikipedia.upstream import upstream_text
from bertkit.errors import EnvironmentUnfit
from bertkit.files import sha256_of

#: in order; the download comes before them
STAGES = ("extract", "format", "shard", "records")

#: a stage to start at -> the text that it goes on from, and which must be there
_GOES_ON_FROM = {"format": "extracted", "shard": "articles", "records": "sentences"}

_Step = Union[Stage, PartsStage]


@dataclass(frozen=True)
class Text:
    """A dump on disk: ``index`` is None where it is one bz2 stream."""

    dump: Path
    index: Optional[Path]
    sha256: str


class Wanted(NamedTuple):
    """What is to be made of a dump.

    Attributes:
        until: the last of ``STAGES``.
        shards: files of training records, and as many of test records.
        test_fraction: of the text, held out.
        duplicates: how often each article is gone through, each time masked anew.
        seed: decides all that is random.
        lowercase: the vocabulary is uncased.
        whole_words: mask all pieces of a word or none.
        vocabulary: instead of the data directory's own.
        repo: the checkout whose scripts do all of the stages; None: bertkit does.
        start: the first of ``STAGES``; after ``extract`` no dump is read, but the text that lies in
            the data directory, by whichever engine.
    """

    until: str
    shards: int
    test_fraction: float
    duplicates: int
    seed: int
    lowercase: bool
    whole_words: bool
    vocabulary: Optional[Path]
    repo: Optional[Path]
    start: str = STAGES[0]


def make_wiki(
    layout: DataLayout,
    text: Optional[Text],
    wanted: Wanted,
    workers: int,
    share: Share,
    patience: float = PATIENCE,
) -> List[Done]:
    """Make what is not there yet; gives all stages in order.

    Args:
        layout: the data directory.
        text: the dump; None if the start is a later stage.
        wanted: what is to be made.
        workers: processes.
        share: of the parts, where several machines work.
        patience: seconds to wait for a share that gives no sign of life.

    Raises:
        EnvironmentUnfit: a library, a vocabulary or room is missing.
        DataDamaged: the dump is damaged or has no article.
        BertkitError: files that bertkit did not make are in the way.
    """
    makers = _makers(layout, text, wanted, workers)
    return carry_out_all(makers, layout, workers, share, patience)


def look_at_wiki(layout: DataLayout, text: Optional[Text], wanted: Wanted) -> List[Done]:
    """What is done and what would be made; nothing is changed."""
    return look_at_all(_makers(layout, text, wanted, 1), layout)


def _makers(layout: DataLayout, text: Optional[Text], wanted: Wanted, workers: int) -> List[Maker]:
    first, last = STAGES.index(wanted.start), STAGES.index(wanted.until)
    asked = STAGES[first : last + 1]
    upstream = upstream_text(wanted.repo, layout, asked)

    def extract(_: Known) -> _Step:
        assert text is not None
        if upstream is not None:
            return upstream.extract(text.dump, text.sha256, workers)
        return extraction(layout, text.dump, text.index, text.sha256)

    def formatted(known: Known) -> _Step:
        make = partial(format_stage, layout) if upstream is None else upstream.format
        return make(known["extracted"])

    def shard(known: Known) -> _Step:
        shape = CorpusShards(layout, wanted.shards, wanted.test_fraction, wanted.seed)
        if upstream is not None:
            return upstream.shard(shape, known["articles"])
        return shard_stage(shape, known["articles"], workers)

    def records(known: Known) -> _Step:
        vocabulary = vocabulary_of(layout, wanted)
        settings = [
            RecordSettings(seq_len, most, wanted.duplicates, wanted.seed, wanted.whole_words)
            for seq_len, most in PREDICTIONS.items()
        ]
        if wanted.repo is not None:
            sentences = known["sentences"]
            return upstream_records_stage(wanted.repo, layout, sentences, vocabulary, settings)
        return records_stage(layout, known["sentences"], vocabulary, settings)

    steps: Dict[str, Callable[[Known], _Step]] = dict(
        zip(STAGES, (extract, formatted, shard, records))
    )
    if wanted.until == STAGES[-1]:
        vocabulary_of(layout, wanted)  # hours of work come before it is read
        if wanted.repo is not None:
            records_script(wanted.repo)
    makers: List[Maker] = [steps[name] for name in asked]
    if wanted.start in _GOES_ON_FROM:
        makers[0] = _going_on(makers[0], layout, _GOES_ON_FROM[wanted.start])
    return makers


def _going_on(maker: Maker, layout: DataLayout, source: str) -> Maker:
    """*maker*, told what lies there instead of what a stage before it made."""
    return lambda known: maker({**known, source: text_there(layout, source)})


def vocabulary_of(layout: DataLayout, wanted: Wanted) -> Vocabulary:
    """The vocabulary to make records with, looked at.

    Raises:
        EnvironmentUnfit: there is none.
        DataDamaged: it is none of BERT's.
    """
    path = wanted.vocabulary or layout.vocab
    if not path.exists():
        raise EnvironmentUnfit(
            "there is no vocabulary",
            where=path,
            next_step=f"bertkit data pretrained --data {layout.root} brings one; "
            "or name your own: --vocab FILE",
        )
    read_vocabulary(path)
    return Vocabulary(path, sha256_of(path), wanted.lowercase)

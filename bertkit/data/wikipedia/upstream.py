"""Text by upstream's own ``bertPrep.py``: articles, lines and sentences, in the same places.

It works in a directory of its own with links to what it reads. Relative names lead there, because
it splits paths at commas and hands them to a shell.
"""

from __future__ import annotations

import bz2
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, Optional, Sequence

from bertkit.data.layout import SPLITS, DataLayout
from bertkit.data.scripts.script import data_script, run_script
from bertkit.data.stages.manifest import Manifest, Stage, versions
from bertkit.data.wikipedia.sharding import CorpusShards, read_documents
from bertkit.errors import BertkitError, DataDamaged, EnvironmentUnfit
from bertkit.files import sha256_of

#: what upstream's create_datasets_from_start.sh takes
_EXTRACTOR_SOURCE = "https://github.com/attardi/wikiextractor.git"
_EXTRACTOR_COMMIT = "6408a430fc504a38b04d37ce5e7fc740191dee16"
#: what bertPrep.py imports besides itself
_NEEDS = ("nltk",)
#: nothing listens there: NLTK's downloader, which upstream calls whenever it starts, ends at once
#: where a firewall would let it wait
_NO_NETWORK = dict.fromkeys(("http_proxy", "https_proxy", "ftp_proxy"), "http://127.0.0.1:9")


class UpstreamText:
    """The stages up to the sentences, done by ``bertPrep.py``.

    Args:
        repo: the checkout.
        layout: the data directory.
        stages: those that will be asked for: ``extract``, ``format``, ``shard``.

    Raises:
        EnvironmentUnfit: the script or what it needs for these stages is not there.
    """

    def __init__(self, repo: Path, layout: DataLayout, stages: Sequence[str]) -> None:
        self._script = data_script(repo, "bertPrep.py", _NEEDS)
        self._layout = layout
        self._extractor = _extractor(self._script, layout) if "extract" in stages else None
        if "shard" in stages:
            _need_sentences()

    def extract(self, dump: Path, sha256: str, workers: int) -> Stage:
        """The stage that extracts the articles of *dump*, with the WikiExtractor that is there."""
        assert self._extractor is not None
        settings = {**self._by("bertPrep.py"), "extractor": sha256_of(self._extractor)}
        return Stage(
            "extracted", self._layout.extracted, {"dump": sha256}, settings,
            lambda place: self._extract(dump, place, workers),
        )  # fmt: skip

    def format(self, extracted: Manifest) -> Stage:
        """The stage that puts each extracted article into one line."""
        return Stage(
            "articles", self._layout.formatted, {"extracted": extracted.fingerprint},
            self._by("bertPrep.py", "WikicorpusTextFormatting.py"), self._format,
        )  # fmt: skip

    def shard(self, shape: CorpusShards, articles: Manifest) -> Stage:
        """The stage that deals sentences to files; upstream does it without a seed."""
        return Stage(
            "sentences", self._layout.sharded, {"articles": articles.fingerprint},
            {
                "shards": shape.shards, "test_fraction": shape.test_fraction,
                **self._by("bertPrep.py", "TextSharding.py"),
            },
            lambda place: self._shard(shape, place), versions("nltk"),
        )  # fmt: skip

    def _by(self, *names: str) -> Dict[str, Any]:
        sums = {name: sha256_of(self._script.with_name(name)) for name in names}
        return {"engine": "upstream", "scripts": sums}

    def _extract(self, dump: Path, place: Path, workers: int) -> Dict[str, int]:
        assert self._extractor is not None
        work = _directory(place)
        source = work / "download" / self._layout.corpus / f"{self._layout.corpus}.xml"
        source.parent.mkdir(parents=True)
        _decompress(dump, source)
        (work / "wikiextractor").symlink_to(self._extractor.parent)
        (work / "extracted").mkdir()
        self._run(work, "text_formatting", dump, "--n_processes", str(workers))
        _take(work / "extracted" / self._layout.corpus, place)
        articles = 0
        for path in place.rglob("*"):
            if path.is_file():
                with path.open(encoding="utf-8", newline="\n") as lines:
                    articles += sum(line.startswith("<doc ") for line in lines)
        if not articles:
            raise _no_article(dump)
        return {"articles": articles}

    def _format(self, place: Path) -> Dict[str, int]:
        work = _directory(place)
        (work / "extracted").mkdir()
        (work / "extracted" / self._layout.corpus).symlink_to(self._layout.extracted.absolute())
        self._run(work, "text_formatting", self._layout.extracted, "--skip_wikiextractor", "1")
        _take(work / _below(self._layout, self._layout.formatted), place)
        articles = _lines_with_text(place)
        if not articles:
            raise _no_article(self._layout.extracted)
        return {"articles": articles}

    def _shard(self, shape: CorpusShards, place: Path) -> Dict[str, int]:
        work = _directory(place)
        formatted = self._layout.formatted
        (work / formatted.parent.name).symlink_to(formatted.parent.absolute())
        self._run(
            work, "sharding", formatted,
            "--n_training_shards", str(shape.shards), "--n_test_shards", str(shape.shards),
            "--fraction_test_set", str(shape.test_fraction),
        )  # fmt: skip
        _take(work / _below(self._layout, self._layout.sharded), place)
        names = [shape.layout.shard_name(split, n) for split in SPLITS for n in range(shape.shards)]
        sentences = articles = 0
        for name in names:
            documents = read_documents(place / name)
            articles += len(documents)
            sentences += sum(map(len, documents))
        given = _lines_with_text(formatted)
        if articles != given:
            raise BertkitError(
                "upstream's sharding lost articles", where=formatted,
                why=f"{articles:,} of {given:,} are in its files", next_step="--engine native",
            )  # fmt: skip
        return {"sentences": sentences, "articles": articles, "files": len(names)}

    def _run(self, work: Path, action: str, where: Path, *options: str) -> None:
        run_script(
            self._script,
            ["--action", action, "--dataset", self._layout.corpus, *options],
            doing=f"{action} by upstream", directory=work, where=where,
            environment={"BERT_PREP_WORKING_DIR": ".", **_NO_NETWORK},
        )  # fmt: skip


def _directory(place: Path) -> Path:
    """An empty directory beside *place*, on the same file system; it goes with the stage's end."""
    work = place.with_name("upstream")
    shutil.rmtree(str(work), ignore_errors=True)
    work.mkdir()
    return work


def _below(layout: DataLayout, path: Path) -> Path:
    return path.relative_to(layout.root)


def _take(made: Path, place: Path) -> None:
    """Put what was made where the stage wants it, on the disk for sure."""
    for path in [made] if made.is_file() else made.rglob("*"):
        if path.is_file():
            with path.open("rb") as stream:
                os.fsync(stream.fileno())
    made.replace(place)


def _lines_with_text(path: Path) -> int:
    with path.open(encoding="utf-8", newline="\n") as lines:
        return sum(bool(line.strip()) for line in lines)


def _decompress(dump: Path, output: Path) -> None:
    with output.open("wb") as stream:
        try:
            with bz2.open(dump, "rb") as xml:
                while True:
                    piece = xml.read(1 << 20)
                    if not piece:
                        return
                    stream.write(piece)
        except (EOFError, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # the disk, not the dump
            raise DataDamaged(
                "the dump cannot be read", where=dump, why=str(error), next_step="fetch it again"
            ) from None


def _no_article(where: Path) -> DataDamaged:
    return DataDamaged(
        "there is no article", where=where,
        why="upstream's scripts found none in it", next_step="give another dump",
    )  # fmt: skip


def _extractor(script: Path, layout: DataLayout) -> Path:
    """The WikiExtractor that upstream's data script clones: beside it, or into the data directory.

    Raises:
        EnvironmentUnfit: it is not there, or a shell would not understand its path.
    """
    own = [script.with_name("wikiextractor"), layout.root.absolute() / "wikiextractor"]
    found = next((path for path in own if (path / "WikiExtractor.py").is_file()), None)
    if found is None:
        raise EnvironmentUnfit(
            "upstream extracts text with WikiExtractor, which is not there",
            where=own[0],
            why="its create_datasets_from_start.sh clones it, at a commit of 2019",
            next_step=f"git clone {_EXTRACTOR_SOURCE} {shlex.quote(str(own[0]))} && "
            f"git -C {shlex.quote(str(own[0]))} checkout {_EXTRACTOR_COMMIT[:12]}; or extract with "
            "--engine native --until extract, and go on with --start-at format",
        )
    runs = subprocess.run(
        [sys.executable, str(found / "WikiExtractor.py"), "--help"], stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False,
    )  # fmt: skip
    if runs.returncode:
        said = runs.stderr.decode("utf-8", "replace").strip().split("\n")[-1]
        raise EnvironmentUnfit(
            "the WikiExtractor that is there does not run with this Python",
            where=found, why=said[:300],
            next_step="upstream's create_datasets_from_start.sh, as prepare-repo patches it, makes "
            "a clone that does; or extract with --engine native --until extract",
        )  # fmt: skip
    for path in (layout.staging.absolute(), Path(sys.executable)):
        if shlex.quote(str(path)) != str(path):
            raise EnvironmentUnfit(
                "upstream's script cannot extract here", where=path,
                why="it hands the path to a shell as it is",
                next_step="a path without spaces and the like, or --engine native --until extract",
            )  # fmt: skip
    return found / "WikiExtractor.py"


def _need_sentences() -> None:
    """Raises EnvironmentUnfit unless NLTK has the model that finds the ends of sentences."""
    import nltk.data
    from nltk.tokenize import punkt

    newer = hasattr(punkt, "PunktTokenizer")  # from 3.9 on nothing is unpickled any more
    model, file = ("punkt_tab", "english/") if newer else ("punkt", "english.pickle")
    try:
        nltk.data.find(f"tokenizers/{model}/{file}")
    except LookupError:
        raise EnvironmentUnfit(
            f"upstream finds sentences with NLTK's model {model}, which is not there",
            where=", ".join(nltk.data.path[:3]),
            why=f"NLTK {nltk.__version__} looks for it there and in the directories of NLTK_DATA",
            next_step=f"{sys.executable} -m nltk.downloader {model}; without a network, copy "
            f"tokenizers/{model} from another machine's nltk_data; or --engine native",
        ) from None


def upstream_text(
    repo: Optional[Path], layout: DataLayout, stages: Sequence[str]
) -> Optional[UpstreamText]:
    """``UpstreamText`` if there is a *repo*, and any of its *stages* are asked for."""
    mine = [stage for stage in stages if stage != "records"]
    return UpstreamText(repo, layout, mine) if repo is not None and mine else None

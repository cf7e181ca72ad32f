"""Both engines all the way: the Wikipedia sample from bz2 to packed records, and trained on.

Each makes text, records of 128 tokens and of 512, and packs of 128 by itself; then upstream's
trainer takes six steps on the packs, tiny model, two ranks, on this CPU. BERTKIT_WIKIEXTRACTOR
names a clone of WikiExtractor as upstream's data script makes it; without, bertkit extracts for
both.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, List, Tuple

from benchmarks.table import Table
from bertkit.data.layout import DataLayout
from bertkit.data.samples import sources
from bertkit.errors import BertkitError
from bertkit.upstream.scan import upstream_answers
from bertkit.upstream.source import resolve

RELEASE = "1.13.0"
STEPS = 6
ENGINES = ("native", "upstream")


def run() -> Table:
    """Go the whole way with either engine.

    Raises:
        BertkitError: a package is missing, a stage failed, or a loss did not fall.
    """
    sources.require_libraries()
    table = Table(
        "a dump of 206 pages to packed records, and six steps on them: seconds",
        ("engine", "text", "records", "packing", "training", "articles", "sentences",
         "sequences of 128", "packs", "first loss", "last loss"),
    )  # fmt: skip
    url = resolve(None, os.environ)
    if url.is_standin or not upstream_answers(url.url, within=5.0):
        table.notes.append("upstream's scripts were not run: no real upstream")
        return table
    with tempfile.TemporaryDirectory(prefix="bertkit-bench-") as name:
        work = Path(name)
        _bertkit(work, "prepare-repo", "--synapse-version", RELEASE, "--upstream", url.url)
        for engine in ENGINES:
            table.rows.append(_whole_way(work, engine, table.notes))
    table.notes.append("text: extraction, one article a line, sentences; two processes")
    return table


def _whole_way(work: Path, engine: str, notes: List[str]) -> Tuple[str, ...]:
    layout = DataLayout(work / engine)
    layout.vocab.parent.mkdir(parents=True)
    layout.vocab.write_bytes(sources.uncased_vocabulary())
    by = ["--data", engine, "--engine", engine]
    wiki = ["data", "wiki", "--workers", "2", "--shards", "2"]
    start = ["--dump", str(sources.sample_dump())]
    if engine == "upstream":
        start = _what_upstream_needs(work, layout, [*wiki, *start], notes)
    text, for_text = _timed(work, *wiki, *start, "--until", "shard", *by)
    records, for_records = _timed(work, *wiki, "--start-at", "records", *by)
    packed, for_packs = _timed(work, "data", "pack", "--phase", "1", "--ranks", "2", *by)
    _bertkit(work, "data", "verify", engine)
    trained, for_training = _timed(
        work, "train", "--phase", "1", "--packed", "--cards", "2", "--device", "cpu", "--model",
        "tiny", "--steps", str(STEPS), "--data", engine, "--output", f"{engine}-run",
    )  # fmt: skip
    first, last = trained["first_loss"], trained["last_loss"]
    if not (math.isfinite(last) and last < first):
        raise BertkitError(f"the loss did not fall: {first} to {last}", where=engine)
    counts: Dict[str, int] = {}
    for stage in [*text["stages"], *records["stages"][:1]]:
        counts.update(stage["counts"])
    times = (for_text, for_records, for_packs, for_training)
    return (
        engine, *(f"{each:.1f}" for each in times), f"{counts['articles']:,}",
        f"{counts['sentences']:,}", f"{packed['sequences']:,}", f"{packed['packs']:,}",
        f"{first:.2f}", f"{last:.2f}",
    )  # fmt: skip


def _timed(work: Path, *arguments: str) -> Tuple[Dict[str, Any], float]:
    started = time.monotonic()
    return _bertkit(work, *arguments), time.monotonic() - started


def _what_upstream_needs(
    work: Path, layout: DataLayout, from_dump: List[str], notes: List[str]
) -> List[str]:
    """Lay it down, untimed; gives the options with which upstream begins."""
    from tests.data.punkt import write_punkt

    native = DataLayout(work / "native").formatted.read_text(encoding="utf-8")
    write_punkt(native, work / "nltk_data")
    notes.append("upstream finds sentences with a model that NLTK made of the sample's own text")
    clone = os.environ.get("BERTKIT_WIKIEXTRACTOR")
    if clone:
        shutil.copytree(clone, layout.root / "wikiextractor", symlinks=True)
        return from_dump[from_dump.index("--dump") :]
    notes.append("no BERTKIT_WIKIEXTRACTOR: bertkit extracted for upstream too, and is not counted")
    _bertkit(work, *from_dump, "--until", "extract", "--data", layout.root.name)
    return ["--start-at", "format"]


def _bertkit(work: Path, *arguments: str) -> Dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "bertkit", *arguments, "--json"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, cwd=work,
        env={**os.environ, "NLTK_DATA": str(work / "nltk_data")},
    )  # fmt: skip
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["it said nothing"]
        raise BertkitError(
            f"bertkit {' '.join(arguments[:2])} failed", where=work, why=" ".join(lines[-4:])
        )
    result: Dict[str, Any] = json.loads(done.stdout)
    return result

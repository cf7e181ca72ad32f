"""Articles to sentences in shards: memory and evenness for one and for ten times the text.

Upstream's TextSharding.py keeps all articles and all sentences in memory; it needs NLTK's models
from a network and is not run here. The text is the Wikipedia sample's articles,
BERTKIT_BENCH_ARTICLES (4) times, and ten times that; each copy's articles begin with its number,
so that they have other hashes.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import List, Tuple

from benchmarks.processes import Taken, measured
from benchmarks.table import Table
from bertkit.data.layout import SPLITS, DataLayout
from bertkit.data.samples import sources
from bertkit.data.stages.workers import cores

SHARDS = 8
MORE = 10


def run() -> Table:
    """Measure.

    Raises:
        BertkitError: a package of the extra ``sample`` is missing, or a run failed.
    """
    sources.require_libraries()
    copies = int(os.environ.get("BERTKIT_BENCH_ARTICLES", "4"))
    table = Table(
        f"sentences in {SHARDS} training and {SHARDS} test files, on {cores()} cores",
        ("text MB", "articles", "seconds", "MB/s", "memory MB", "training", "test", "test part"),
    )
    peaks = []
    with tempfile.TemporaryDirectory(prefix="bertkit-bench-") as name:
        scratch = Path(name)
        text = _sample_text(scratch)
        for times in (copies, copies * MORE):
            layout = DataLayout(scratch / str(times))
            layout.formatted.parent.mkdir(parents=True)
            with layout.formatted.open("wb") as stream:
                for copy in range(times):
                    stream.write(_numbered(text, copy))
            taken, articles = _shard(layout)
            peaks.append(taken.memory)
            size = layout.formatted.stat().st_size / 1e6
            table.rows.append(
                (
                    f"{size:.1f}",
                    f"{articles:,}",
                    f"{taken.seconds:.1f}",
                    f"{size / taken.seconds:.2f}",
                    f"{taken.memory / 1e6:.0f}",
                    *(f"{_widest(_sizes(layout, split)):.2%}" for split in SPLITS),
                    f"{_test_part(layout):.2%}",
                )
            )
    table.notes += [
        f"memory for {MORE} times the text: {peaks[1] / peaks[0]:.2f} times",
        "training, test: largest less smallest file of the split, of the smallest",
        "test part: of all text, where 10 % is asked for",
        "memory: most of all processes together (PSS), looked at every 50 ms",
    ]
    return table


def _sample_text(scratch: Path) -> bytes:
    layout = DataLayout(scratch / "sample")
    _wiki(layout, ["--dump", str(sources.sample_dump()), "--until", "format"])
    return layout.formatted.read_bytes()


def _numbered(text: bytes, copy: int) -> bytes:
    return b"".join(
        b"In copy %d, %s\n\n" % (copy, article) for article in text.split(b"\n\n") if article
    )


def _shard(layout: DataLayout) -> Tuple[Taken, int]:
    options = ["--start-at", "shard", "--until", "shard", "--shards", str(SHARDS)]
    taken = _wiki(layout, options)
    (stage,) = json.loads(taken.output)["stages"]
    return taken, int(stage["counts"]["articles"])


def _wiki(layout: DataLayout, options: List[str]) -> Taken:
    return measured(
        [
            sys.executable, "-m", "bertkit", "data", "wiki", "--data", str(layout.root),
            "--json", "-q", *options,
        ]
    )  # fmt: skip


def _sizes(layout: DataLayout, split: str) -> List[int]:
    return [path.stat().st_size for path in (layout.sharded / split).iterdir()]


def _widest(sizes: List[int]) -> float:
    return (max(sizes) - min(sizes)) / min(sizes)


def _test_part(layout: DataLayout) -> float:
    test = sum(_sizes(layout, "test"))
    return test / (test + sum(_sizes(layout, "training")))

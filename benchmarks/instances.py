"""Records from sentences, by bertkit and by upstream's script: the same text, one core, in turn.

Both make the records of 128 and of 512 tokens, five duplicates, from one file of text. The text is
the Wikipedia sample's, BERTKIT_BENCH_COPIES (2) times.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Callable, Dict, List, NamedTuple

from benchmarks.processes import measured
from benchmarks.table import Table
from bertkit.data.layout import PREDICTIONS, SPLITS, DataLayout
from bertkit.data.samples import sources
from bertkit.errors import BertkitError
from bertkit.upstream.scan import upstream_answers
from bertkit.upstream.source import resolve

RELEASE = "1.13.0"
REPEATS = 3
DUPLICATES = 5


class _Run(NamedTuple):
    seconds: float
    of_cores: float
    memory: int
    records: int


def run() -> Table:
    """Measure what can be measured here, and say what cannot.

    Raises:
        BertkitError: a package of the extra ``sample`` is missing, or a way failed.
    """
    sources.require_libraries()
    copies = int(os.environ.get("BERTKIT_BENCH_COPIES", "2"))
    table = Table(
        "",
        ("way", "records", "seconds", "seconds of cores", "MB/s of cores", "memory MB"),
    )
    with tempfile.TemporaryDirectory(prefix="bertkit-bench-") as name:
        layout = DataLayout(Path(name) / "data")
        size = text_of_sample(layout, copies)
        table.title = (
            f"records of 128 and 512 tokens from {size / 1e6:.1f} MB of text, "
            f"{DUPLICATES} duplicates, one process"
        )
        ways: Dict[str, List[str]] = {"bertkit data wiki": []}
        repo = Path(name) / "upstream"
        if _have_upstream(table, repo):
            ways["upstream's create_pretraining_data.py"] = [
                "--engine", "upstream", "--repo", str(repo),
            ]  # fmt: skip
        runs: Dict[str, List[_Run]] = {way: [] for way in ways}
        for _ in range(REPEATS):
            for way, options in ways.items():
                runs[way].append(_one(layout, options))
    for way, each in runs.items():
        cost = statistics.median(run.of_cores for run in each)
        table.rows.append(
            (
                way,
                f"{each[0].records:,}",
                f"{statistics.median(run.seconds for run in each):.1f}",
                f"{cost:.1f}",
                f"{size / 1e6 / cost:.2f}",
                f"{max(run.memory for run in each) / 1e6:.0f}",
            )
        )
    table.notes += [
        f"medians of {REPEATS} runs in turn; the whole command, with its start and its checks",
        "seconds of cores: user and system time of all processes",
    ]
    return table


def text_of_sample(layout: DataLayout, copies: int) -> int:
    """Lay down vocabulary and shards with the sample's sentences; gives the bytes of text."""
    from bertkit.data.samples.sample import make_sample

    layout.vocab.parent.mkdir(parents=True)
    layout.vocab.write_bytes(sources.uncased_vocabulary())
    with tempfile.TemporaryDirectory(prefix="bertkit-bench-") as name:
        made = DataLayout(Path(name))
        make_sample(made.root)
        texts = {
            split: b"".join(
                path.read_bytes() for path in sorted((made.sharded / split).glob("*.txt"))
            )
            for split in SPLITS
        }
    for split, text in texts.items():
        path = layout.sharded / layout.shard_name(split, 0)
        path.parent.mkdir(parents=True)
        path.write_bytes(text * copies)
    return sum(len(text) for text in texts.values()) * copies


def _one(layout: DataLayout, options: List[str]) -> _Run:
    for stage in [*map(layout.tfrecord, PREDICTIONS), layout.root / ".bertkit"]:
        _remove(stage)
    before = _used()
    taken = measured(
        [
            sys.executable, "-m", "bertkit", "data", "wiki", "--data", str(layout.root),
            "--start-at", "records", "--workers", "1", "--json", "-q",
            "--dupe-factor", str(DUPLICATES), *options,
        ]
    )  # fmt: skip
    stages = json.loads(taken.output)["stages"]
    records = sum(stage["counts"]["records"] for stage in stages)
    return _Run(taken.seconds, _used() - before, taken.memory, records)


def _remove(stage: Path) -> None:
    import shutil

    shutil.rmtree(stage, ignore_errors=True)


def _used() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _have_upstream(table: Table, repo: Path) -> bool:
    url = resolve(None, os.environ)
    say: Callable[[str], None] = table.notes.append
    if url.is_standin or not upstream_answers(url.url, within=5.0):
        say("upstream's script was not compared: no real upstream")
        return False
    try:
        measured(
            [
                sys.executable, "-m", "bertkit", "prepare-repo", "--synapse-version", RELEASE,
                "--dest", str(repo), "-q",
            ]
        )  # fmt: skip
    except BertkitError as error:
        say(f"upstream's script was not compared: {error.why}")
        return False
    return True

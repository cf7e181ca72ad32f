"""``bertkit prepare-repo`` beside ``git clone``, from the same upstream in the same run.

Bytes received are the packs and loose objects that lie in the object store afterwards, which is
what came over the wire less git's few lines of negotiation. A partial mirror, such as one without
the huge files, cannot serve a clone; then the pack is measured that it would send of what it has.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Callable, Dict, List, Sequence, Tuple, TypeVar
from urllib.parse import urlsplit
from urllib.request import url2pathname

from benchmarks.table import Table
from bertkit.errors import BertkitError
from bertkit.patching import apply_series, load_series, unapply_series
from bertkit.upstream.scan import upstream_answers
from bertkit.upstream.source import resolve

RELEASE = "1.13.0"
REPEATS = 3
APPLIED = 20

Done = subprocess.CompletedProcess  # of text
T = TypeVar("T")


def run() -> Table:
    """Measure, or say in one line why it cannot be done here.

    Raises:
        BertkitError: ``prepare-repo`` failed.
    """
    table = Table(f"prepare-repo {RELEASE} beside git clone")
    source = resolve()
    if source.is_standin or not upstream_answers():
        table.notes.append(
            f"not run: {source.url} does not answer; BERTKIT_UPSTREAM can name a clone of "
            "Model-References"
        )
        return table
    table.headings = ("way", "bytes received", "seconds", "runs")
    with tempfile.TemporaryDirectory(prefix="bertkit-bench-") as name:
        scratch = Path(name)
        trees = [scratch / f"prepared-{number}" for number in range(REPEATS)]
        _measure_prepare(table, source.url, trees)
        _measure_clone(table, source.url, scratch / "clone", [])
        _measure_clone(table, source.url, scratch / "clone", ["--depth", "1"])
        _measure_series(table, trees[0])
    table.notes += [
        f"upstream: {source.url}",
        "bytes received: packs and loose objects under .git/objects afterwards",
        "seconds: median wall clock; with the start of the process, but for the series",
    ]
    return table


def _measure_prepare(table: Table, url: str, trees: Sequence[Path]) -> None:
    fresh = [_timed(partial(_prepare, url, tree))[0] for tree in trees]
    size = _received(trees[0])
    warm = [_timed(partial(_prepare, url, tree))[0] for tree in trees]
    more = _received(trees[0]) - size
    table.rows.append(("bertkit prepare-repo, all patches", f"{size:,}", *_median(fresh)))
    table.rows.append(("bertkit prepare-repo, again", f"{more:,}", *_median(warm)))


def _measure_clone(table: Table, url: str, tree: Path, flags: List[str]) -> None:
    way = " ".join(["git clone", *flags, "-b", RELEASE])
    times = []
    for _ in range(REPEATS):
        shutil.rmtree(tree, ignore_errors=True)
        command = ["git", "clone", "-q", *flags, "-b", RELEASE, url, str(tree)]
        seconds, done = _timed(partial(_run, command))
        if done.returncode != 0:
            reason = [line for line in done.stderr.splitlines() if "fatal:" in line]
            table.rows.append((way, "failed", "-", "-"))
            table.notes.append(f"{way} failed: {(reason or [done.stderr])[0].strip()}")
            _measure_pack(table, url, flags)
            return
        times.append(seconds)
    table.rows.append((way, f"{_received(tree):,}", *_median(times)))


def _measure_pack(table: Table, url: str, flags: List[str]) -> None:
    """What the mirror would send if it did not mind that it lacks some files."""
    parts = urlsplit(url)
    if parts.scheme != "file":
        return
    tips = ["--max-count=1", f"refs/heads/{RELEASE}"] if flags else ["--branches"]
    seconds, (size, lacking) = _timed(partial(_pack, Path(url2pathname(parts.path)), tips))
    table.rows.append(
        (f"  its pack without {lacking} missing files", f"{size:,}", *_median([seconds]))
    )
    note = (
        "its pack: of what this partial mirror has (git rev-list --missing=print, then git "
        "pack-objects); neither received, indexed nor checked out, so a clone takes longer"
    )
    if note not in table.notes:
        table.notes.append(note)


def _pack(mirror: Path, tips: Sequence[str]) -> Tuple[int, int]:
    """Bytes of the pack of all that *tips* reach and the mirror has, and how much it lacks."""
    git = ["git", "-C", str(mirror)]
    listed = _run([*git, "rev-list", "--objects", "--no-object-names", "--missing=print", *tips])
    names = _insist(listed).stdout.split()
    there = [name for name in names if not name.startswith("?")]
    with tempfile.TemporaryFile() as pack:
        subprocess.run(
            [*git, "pack-objects", "--stdout", "-q"],
            input="".join(f"{name}\n" for name in there).encode(),
            stdout=pack,
            env=_environment(),
            check=True,
        )
        return pack.seek(0, os.SEEK_END), len(names) - len(there)


def _measure_series(table: Table, tree: Path) -> None:
    """Every patch of the release, into a checkout that carries none."""
    reading, applying = [], []
    for _ in range(APPLIED):
        seconds, series = _timed(load_series)
        reading.append(seconds)
        unapply_series(tree, series)
        seconds, carried = _timed(partial(apply_series, tree, RELEASE, series))
        applying.append(seconds)
    table.rows.append(("reading the index of the series", "-", *_median(reading)))
    table.rows.append((f"applying all {len(carried)} patches of it", "-", *_median(applying)))


def _prepare(url: str, tree: Path) -> None:
    wish = ["--synapse-version", RELEASE, "--upstream", url, "--dest", str(tree)]
    _insist(_run([sys.executable, "-m", "bertkit", "prepare-repo", "--quiet", *wish]))


def _received(tree: Path) -> int:
    objects = tree / ".git" / "objects"
    kept = [path for path in objects.rglob("*") if path.is_file() and path.parent != objects]
    made_here = (".idx", ".rev", ".promisor", ".keep")
    return sum(
        path.stat().st_size
        for path in kept
        if path.suffix not in made_here and path.parent.name != "info"
    )


def _timed(action: Callable[[], T]) -> Tuple[float, T]:
    started = time.perf_counter()
    result = action()
    return time.perf_counter() - started, result


def _median(times: Sequence[float]) -> Tuple[str, str]:
    """The cells for the seconds and for how often it ran."""
    return f"{statistics.median(times):.3f}", str(len(times))


def _run(argv: Sequence[str]) -> Done[str]:
    return subprocess.run(
        argv, env=_environment(), capture_output=True, text=True, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip


def _insist(done: Done[str]) -> Done[str]:
    if done.returncode != 0:
        raise BertkitError("a command of the benchmark failed", where=done.args[0], why=done.stderr)
    return done


def _environment() -> Dict[str, str]:
    """No question may be asked, and a partial mirror may not ask its own upstream for more."""
    return {**os.environ, "GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1", "LC_ALL": "C"}

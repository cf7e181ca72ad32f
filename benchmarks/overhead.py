"""``bertkit train`` beside the bare mpirun line that it prints, in turns, on the CPU.

The difference is what planning, the preflight, supervision and the record cost: once a run, and
while it goes on. Both train the tiny model from the same data, on upstream's own script where
upstream answers, else on the stand-in's.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from benchmarks.table import Table
from bertkit.errors import BertkitError
from bertkit.upstream.scan import upstream_answers
from bertkit.upstream.source import resolve

RELEASE = "1.13.0"
RANKS = 2
STEPS = 60
PAIRS = 3
DRY_RUNS = 10

#: seconds on the clock, seconds of processor time of all processes that were waited for
Cost = Tuple[float, float]


def run() -> Table:
    """Measure, or say in one line why it cannot be done here.

    Raises:
        BertkitError: a command failed.
    """
    table = Table(f"bertkit train beside its own mpirun line: {RANKS} ranks, {STEPS} steps, tiny")
    source = resolve()
    upstream = source.url if not source.is_standin and upstream_answers() else "standin"
    with tempfile.TemporaryDirectory(prefix="bertkit-bench-") as name:
        scratch = Path(name)
        try:
            _bertkit(scratch, "prepare-repo", "--synapse-version", RELEASE, "--upstream", upstream)
            _bertkit(scratch, "data", "sample", "--data", "data")
        except BertkitError as error:
            table.notes.append(f"not run: {error.why or error.what}")
            return table
        plan = json.loads(_bertkit(scratch, *_train("bare"), "--dry-run", "--json"))
        if plan["problems"]:
            table.notes.append(f"not run: {plan['problems'][0]['error']}")
            return table
        bare, ours = [], []
        for _ in range(PAIRS):
            bare.append(_bare(scratch, plan))
            ours.append(_ours(scratch))
        dry = [_cost(scratch, [*_train("dry"), "--dry-run"]) for _ in range(DRY_RUNS)]
    table.headings = ("way", "seconds", "processor seconds", "runs")
    for way, costs in (("the bare line", bare), ("bertkit train", ours)):
        table.rows.append((way, *_medians(costs), str(len(costs))))
    more = [(us[0] - line[0], us[1] - line[1]) for us, line in zip(ours, bare)]
    table.rows.append(("  more, pair by pair", *_medians(more, signed=True), str(len(more))))
    table.rows.append(("bertkit train --dry-run", *_medians(dry), str(len(dry))))
    share = statistics.median(each[0] for each in more) / statistics.median(b[0] for b in bare)
    table.notes += [
        f"upstream: {upstream}",
        f"medians; more: {share:+.1%} of the bare line's seconds; the fastest dry run took "
        f"{min(each[0] for each in dry) * 1000:.0f} ms",
        "processor seconds: those of every process that ran, ranks included",
    ]
    return table


def _train(output: str) -> List[str]:
    return ["train", "--phase", "1", "--cards", str(RANKS), "--steps", str(STEPS), "--device",
            "cpu", "--model", "tiny", "--data", "data", "--output", output]  # fmt: skip


def _bare(scratch: Path, plan: Mapping[str, Any]) -> Cost:
    shutil.rmtree(scratch / "bare", ignore_errors=True)
    return _timed(plan["argv"], Path(plan["working_directory"]), plan["environment"])


def _ours(scratch: Path) -> Cost:
    shutil.rmtree(scratch / "ours", ignore_errors=True)
    return _cost(scratch, _train("ours"))


def _cost(scratch: Path, words: Sequence[str]) -> Cost:
    return _timed([sys.executable, "-m", "bertkit", *words], scratch, None)


def _timed(argv: Sequence[str], directory: Path, environment: Optional[Dict[str, str]]) -> Cost:
    if environment is None:
        # An installed bertkit has its bytecode, which a checkout whose user wants none never gets.
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        argv, env=environment, cwd=directory, capture_output=True, text=True, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        raise BertkitError("a run of the benchmark failed", where=argv[0], why=done.stderr[-2000:])
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, used


def _medians(costs: Sequence[Cost], *, signed: bool = False) -> Tuple[str, str]:
    form = "{:+.2f}" if signed else "{:.2f}"
    clock, used = (statistics.median(each) for each in zip(*costs))
    return form.format(clock), form.format(used)


def _bertkit(scratch: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "bertkit", *words], cwd=scratch, capture_output=True, text=True,
        check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    if done.returncode != 0:
        why = (done.stderr.strip().splitlines() or ["it says nothing"])[0]
        raise BertkitError("a command of the benchmark failed", where=words[0], why=why)
    return done.stdout

"""The whole way on this machine, small: the commands that a user would type, one after another.

Every step is a ``bertkit`` command of its own, printed as it is run, so that the demo teaches the
tool; nothing in it is special.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional

from bertkit.errors import RunFailed

log = logging.getLogger("bertkit")

#: The release that TensorFlow 2.13, which `make demo` sets up, belongs to.
RELEASE = "1.13.0"
JOBS = ("phase1", "phase2", "mrpc")


@dataclass(frozen=True)
class Step:
    """One command of the demo: what it is for, and its arguments after ``bertkit``."""

    title: str
    arguments: List[str]

    def shown(self) -> str:
        """The command as a user would type it."""
        return " ".join(["bertkit", *self.arguments])


def steps(directory: Path, results: Path, *, upstream: Optional[str], cards: int) -> List[Step]:
    """The commands of the demo, in order.

    Args:
        directory: holds the checkout and the data, which a second demo uses again.
        results: a fresh directory for this demo's runs.
        upstream: what ``--upstream`` says, or None for the configured one.
        cards: ranks.
    """
    # Two upstreams never share a checkout.
    name = "Model-References" + ("-standin" if upstream == "standin" else "")
    repo, data = str(directory / name), str(directory / "data")
    prepare = ["prepare-repo", "--synapse-version", RELEASE, "--dest", repo]
    if upstream is not None:
        prepare += ["--upstream", upstream]
    common = ["--cards", str(cards), "--device", "cpu", "--model", "tiny"]
    common += ["--repo", repo, "--data", data]
    which = {"phase1": ["--phase", "1"], "phase2": ["--phase", "2"], "mrpc": ["--task", "mrpc"]}
    return [
        Step("Fetch and patch upstream's BERT", prepare),
        Step("Make a small data set from real text", ["data", "sample", "--data", data]),
        *(
            Step(title, ["train", *which[job], *common, "--output", str(results / job)])
            for job, title in (
                ("phase1", "Pre-train, phase 1"),
                ("phase2", "Pre-train, phase 2, from phase 1's checkpoint"),
                ("mrpc", "Fine-tune on MRPC, from phase 2's checkpoint"),
            )
        ),
    ]


def fresh_results(directory: Path) -> Path:
    """``DIRECTORY/results/N`` for the first N that is free: no earlier demo is written over."""
    number = 1
    while (directory / "results" / str(number)).exists():
        number += 1
    return directory / "results" / str(number)


def run(all_steps: List[Step]) -> None:
    """Run the steps, each as its own process.

    Raises:
        RunFailed: a step failed; carries its exit code. It has said why itself.
    """
    for number, step in enumerate(all_steps, 1):
        log.info("\n[%d/%d] %s\n$ %s", number, len(all_steps), step.title, step.shown())
        started = time.monotonic()
        # Results go where progress goes: the demo's own stdout is for its final table.
        code = subprocess.run(
            [sys.executable, "-m", "bertkit", *step.arguments], check=False, stdout=sys.stderr
        ).returncode
        if code != 0:
            raise RunFailed(
                f"the demo ended at step {number} of {len(all_steps)}",
                code=code if code > 0 else 128 - code,
                where=step.shown(),
                next_step="mend what it says above and run the demo again: it goes on from there",
            )
        log.info("  %.1f s", time.monotonic() - started)


def results_of(results: Path) -> List[Dict[str, Any]]:
    """The results that the demo's runs recorded, in order."""
    found = []
    for job in JOBS:
        record = results / job / ".bertkit" / "run.json"
        found.append(json.loads(record.read_text(encoding="utf-8"))["result"])
    return found

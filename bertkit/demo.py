"""The whole way on this machine, small: the commands that a user would type, one after another.

Every step is a ``bertkit`` command of its own, printed as it is run, so that the demo teaches the
tool; nothing in it is special.
"""

from __future__ import annotations

import contextlib
import json
import logging
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional

from bertkit.errors import EnvironmentUnfit, RunFailed, UpstreamUnreachable
from bertkit.processes import SignalTaker, dies_with_parent
from bertkit.upstream.lock import lock_path
from bertkit.upstream.source import STANDIN, resolve

log = logging.getLogger("bertkit")

#: The release that TensorFlow 2.13, which `make demo` sets up, belongs to.
RELEASE = "1.13.0"
JOBS = ("phase1", "phase2", "mrpc", "squad")
#: seconds that GitHub may take before the stand-in takes its place
PATIENCE = 10.0


@dataclass(frozen=True)
class Step:
    """One command of the demo: what it is for, and its arguments after ``bertkit``."""

    title: str
    arguments: List[str]

    @property
    def argv(self) -> List[str]:
        """The command as its words."""
        return ["bertkit", *self.arguments]

    def shown(self) -> str:
        """The command as a user would type it."""
        return shlex.join(self.argv)


def upstream_for(directory: Path) -> Optional[str]:
    """What ``--upstream`` is to say where the user says nothing: None, or ``standin``.

    Only the default, GitHub, is replaced, and only where it cannot be reached. A checkout that an
    earlier demo left in *directory* needs no server.

    Raises:
        UpstreamUnavailable: a configured address that bertkit does not talk to, or a server that
            answers with something else than a repository.
        EnvironmentUnfit: there is no git.
    """
    source = resolve()
    if source.is_standin:
        return STANDIN
    if source.given_by != "default" or lock_path(_checkout(directory, None)).exists():
        return None
    from bertkit.upstream.scan import branches_of

    try:
        branches_of(source, limit=PATIENCE)
    except UpstreamUnreachable as error:
        words = "going on with the built-in stand-in, as %s cannot be reached (%s)"
        log.info(words, source.url, error.why or error.what)
        return STANDIN
    return None


def steps(directory: Path, results: Path, *, upstream: Optional[str], cards: int) -> List[Step]:
    """The commands of the demo, in order.

    Args:
        directory: holds the checkout and the data, which a second demo uses again.
        results: a fresh directory for this demo's runs.
        upstream: what ``--upstream`` says, or None for the configured one.
        cards: ranks.
    """
    repo, data = str(_checkout(directory, upstream)), str(directory / "data")
    prepare = ["prepare-repo", "--synapse-version", RELEASE, "--dest", repo]
    if upstream is not None:
        prepare += ["--upstream", upstream]
    common = ["--cards", str(cards), "--device", "cpu", "--model", "tiny"]
    common += ["--repo", repo, "--data", data]
    which = {
        "phase1": ["--phase", "1"], "phase2": ["--phase", "2"],
        "mrpc": ["--task", "mrpc"], "squad": ["--task", "squad"],
    }  # fmt: skip
    return [
        Step("Fetch and patch upstream's BERT", prepare),
        Step("Make a small data set from real text", ["data", "sample", "--data", data]),
        *(
            Step(title, ["train", *which[job], *common, "--output", str(results / job)])
            for job, title in (
                ("phase1", "Pre-train, phase 1"),
                ("phase2", "Pre-train, phase 2, from phase 1's checkpoint"),
                ("mrpc", "Fine-tune on MRPC, from phase 2's checkpoint"),
                ("squad", "Fine-tune on SQuAD, from phase 2's checkpoint"),
            )
        ),
    ]


def _checkout(directory: Path, upstream: Optional[str]) -> Path:
    # Two upstreams never share a checkout.
    return directory / ("Model-References" + ("-standin" if upstream == STANDIN else ""))


def fresh_results(directory: Path, *, make: bool) -> Path:
    """``DIRECTORY/results/N`` for the first N that is free: no earlier demo is written over.

    Args:
        directory: the demo's.
        make: make it, so that no demo that runs beside this one gets the same.

    Raises:
        EnvironmentUnfit: it cannot be made.
    """
    number = 1
    while True:
        results = directory / "results" / str(number)
        number += 1
        if results.exists():
            continue
        if make:
            try:
                results.parent.mkdir(parents=True, exist_ok=True)
                results.mkdir()
            except FileExistsError:
                if results.exists():  # another demo was faster
                    continue
                raise _unwritable(results, "a file is in the way") from None
            except OSError as error:
                raise _unwritable(results, error.strerror or str(error)) from None
        return results


def _unwritable(where: Path, why: str) -> EnvironmentUnfit:
    return EnvironmentUnfit(
        "the demo's results cannot be written", where=where, why=why, next_step="--dir DIR"
    )


def run(all_steps: List[Step]) -> None:
    """Run the steps, each as its own process.

    Raises:
        RunFailed: a step failed, and has said why itself; carries its exit code. Or a signal came:
            the step has had it, too, and has ended; carries 128 + its number.
    """
    signals = _ToTheStep()
    with signals:
        for number, step in enumerate(all_steps, 1):
            log.info("\n[%d/%d] %s\n$ %s", number, len(all_steps), step.title, step.shown())
            started = time.monotonic()
            # Results go where progress goes: the demo's own stdout is for its final table.
            process = subprocess.Popen(
                [sys.executable, "-m", "bertkit", *step.arguments],
                stdout=sys.stderr,
                # A session of its own: the terminal and `timeout` send to a whole group, and a
                # second signal makes `train` kill its ranks at once. Thus each comes once, from us.
                start_new_session=True,
                preexec_fn=dies_with_parent(),
            )
            signals.go_to(process)
            code = process.wait()
            signals.go_to(None)
            if signals.received:
                raise RunFailed(
                    f"the demo was interrupted at step {number} of {len(all_steps)}",
                    code=128 + signals.received[0],
                    where=step.shown(),
                    next_step=_AGAIN,
                )
            if code != 0:
                raise RunFailed(
                    f"the demo ended at step {number} of {len(all_steps)}",
                    code=code if code > 0 else 128 - code,
                    where=step.shown(),
                    next_step=f"mend what it says above; {_AGAIN}",
                )
            log.info("  %.1f s", time.monotonic() - started)


_AGAIN = (
    "run the demo again: it takes the checkout and the data that are there, "
    "and trains from the start into a new directory of results"
)


class _ToTheStep(SignalTaker):
    """Passes each signal on to the step that runs, once."""

    def __init__(self) -> None:
        super().__init__()
        self._passed_on = 0
        self._process: Optional[subprocess.Popen[bytes]] = None

    def go_to(self, process: Optional[subprocess.Popen[bytes]]) -> None:
        """Name the process; signals that came before it was known go to it now."""
        self._process = process
        self.pass_on()

    def pass_on(self) -> None:
        """Send the process what it has not had."""
        while self._process is not None and self._passed_on < len(self.received):
            number = self.received[self._passed_on]
            self._passed_on += 1
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)


def results_of(results: Path) -> List[Dict[str, Any]]:
    """The results that the demo's runs recorded, in order."""
    found = []
    for job in JOBS:
        record = results / job / ".bertkit" / "run.json"
        found.append(json.loads(record.read_text(encoding="utf-8"))["result"])
    return found

"""Asking the nodes of a run, and waiting for them within bounds.

mpirun fails at once for a node that does not come up yet, or waits for ever. Here every node is
asked first, through the agent that mpirun will use, and who does not answer in time is named.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Dict, Mapping, Optional, Sequence, Tuple

from bertkit.devices.machine import SYSTEM_ROOT_VARIABLE
from bertkit.errors import EnvironmentUnfit
from bertkit.launch.nodes import answer as node_answer
from bertkit.launch.nodes import question as node_ask
from bertkit.launch.nodes.facts import Facts
from bertkit.launch.nodes.transport import Transport
from bertkit.processes import dies_with_parent

log = logging.getLogger("bertkit")

#: seconds that nodes get to answer for the first time: pods start, names become known
PATIENCE = 300.0
#: seconds for one answer of a node that has been reached
_ONE_ANSWER = 90.0
_PAUSE = 2.0
_SAY_EVERY = 10.0
_POLL = 0.05

# A shell's own codes: the program is not there, or cannot be run. Waiting does not help.
_NO_PYTHON = (126, 127)
_NO_PROGRAM = 2  # Python's: the file that it was to run is not there


@dataclass
class _Try:
    """One question under way to one host."""

    process: subprocess.Popen[bytes]
    answer: IO[bytes]
    complaint: IO[bytes]
    deadline: float


@dataclass
class _Node:
    """A host that has not answered yet: when to ask it again, and what came instead."""

    name: str
    next_try: float = 0.0
    current: Optional[_Try] = None
    said: str = "no answer yet"


@dataclass(frozen=True)
class Nodes:
    """The nodes of a run and the way to them.

    Attributes:
        transport: what reaches them.
        names: their host names, in the order of ranks.
        python: the ranks' interpreter, at the same place on each.
        environment: what the question is asked in: the variables that ranks get.
    """

    transport: Transport
    names: Tuple[str, ...]
    python: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    def named(self, names: Tuple[str, ...]) -> Nodes:
        """Those with *names*."""
        return replace(self, names=names)

    def ask(self, question: str, patience: float) -> Dict[str, Facts]:
        """Every node's answer to *question* (see :mod:`bertkit.launch.nodes.question`), in order.

        Args:
            question: for ``launchers/node.py``.
            patience: seconds for all of them together; each is asked at least once.

        Raises:
            EnvironmentUnfit: names every node that did not answer in time, and why.
        """
        answers: Dict[str, Facts] = {}
        waiting = [_Node(name) for name in self.names]
        started = said = time.monotonic()
        try:
            while waiting:
                now = time.monotonic()
                for node in list(waiting):
                    facts = self._look_at(node, question, now)
                    if facts is not None:
                        answers[node.name] = facts
                        waiting.remove(node)
                late = [node for node in waiting if node.current is None]
                if late and now - started > patience and len(late) == len(waiting):
                    raise self._silent(waiting, now - started)
                if waiting and now - said > _SAY_EVERY:
                    said = now
                    log.info("  waiting for %s", _told(waiting, self.names))
                time.sleep(_POLL)
        finally:
            for node in waiting:
                if node.current is not None:
                    _end(node.current)
        return {name: answers[name] for name in self.names}

    def _look_at(self, node: _Node, question: str, now: float) -> Optional[Facts]:
        """Start, follow or end one try; the facts when they are there."""
        if node.current is None:
            if now >= node.next_try:
                node.current = self._start(node.name, question, now)
            return None
        code = node.current.process.poll()
        if code is None and now < node.current.deadline:
            return None
        answer, complaint = _end(node.current)
        node.current = None
        node.next_try = now + _PAUSE
        if code is None:
            node.said = f"silent for {_ONE_ANSWER:.0f} s"
            return None
        if code in _NO_PYTHON or (code == _NO_PROGRAM and "can't open file" in complaint):
            raise EnvironmentUnfit(
                f"{node.name} has not what this run needs",
                where=node.name,
                why=_last_line(complaint),
                next_step=f"install bertkit there as here: it must have {self.python} and "
                f"{node_ask.program()}",
            )
        if code != 0:
            node.said = _last_line(complaint) or f"exit code {code}"
            return None
        return node_answer.parse(answer, node.name)

    def _start(self, host: str, question: str, now: float) -> _Try:
        variables = dict(self.environment)
        if SYSTEM_ROOT_VARIABLE in os.environ:
            variables[SYSTEM_ROOT_VARIABLE] = os.environ[SYSTEM_ROOT_VARIABLE]
        words = [f"{name}={value}" for name, value in sorted(variables.items())]
        program = [str(self.python), str(node_ask.program()), question]
        # Files, not pipes: a node that prints much does not stand still. Closed by _end.
        answer, complaint = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115
        process = subprocess.Popen(
            self.transport.reach(host, ["env", *words, *program]),
            stdin=subprocess.DEVNULL,
            stdout=answer,
            stderr=complaint,
            start_new_session=True,
            preexec_fn=dies_with_parent(),
        )
        return _Try(process, answer, complaint, now + _ONE_ANSWER)

    def _silent(self, waiting: Sequence[_Node], seconds: float) -> EnvironmentUnfit:
        by_hand = " ".join(map(shlex.quote, self.transport.reach(waiting[0].name, ["true"])))
        return EnvironmentUnfit(
            f"{len(waiting)} of {len(self.names)} nodes did not answer within {seconds:.0f} s",
            where=", ".join(node.name for node in waiting),
            why="; ".join(f"{node.name}: {node.said}" for node in waiting[:8]),
            next_step="look whether they are up (in Kubernetes: kubectl get pods); "
            f"try by hand: {by_hand}; --wait-for-nodes SECONDS waits longer",
        )


def _end(attempt: _Try) -> Tuple[str, str]:
    """End it if it still runs; what it printed and what it complained of."""
    if attempt.process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(attempt.process.pid, signal.SIGKILL)
        attempt.process.wait()
    texts = []
    for stream in (attempt.answer, attempt.complaint):
        stream.seek(0)
        texts.append(stream.read(8 << 20).decode("utf-8", errors="replace"))
        stream.close()
    return texts[0], texts[1]


def _last_line(text: str) -> Optional[str]:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:200] if lines else None


def _told(waiting: Sequence[_Node], names: Sequence[str]) -> str:
    named = ", ".join(f"{node.name} ({node.said})" for node in waiting[:4])
    more = f" and {len(waiting) - 4} more" if len(waiting) > 4 else ""
    return f"{len(waiting)} of {len(names)} nodes: {named}{more}"

"""Reading a run's progress from what upstream writes: dllogger's file and TensorFlow's log."""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Tuple

# TensorFlow's own lines of the fine-tuning scripts: "... loss = 0.6931, step = 0 (1.2 sec)" now and
# then, "Loss for final step: 0.4321." at the end of training
_ESTIMATOR = re.compile(r"loss = ([-+.\w]+), step = (\d+)")
_FINAL = re.compile(r"Loss for final step: ([-+.\w]+?)\.?$")
# "Avg total throughput = 12.34 [examples/sec]", after "***** train statistics *****"
_EXAMPLES = re.compile(r"Avg total throughput = ([\d.]+) \[examples/sec\]")
_RESULT = re.compile(r"^(\w+) = ([-+.\w]+)$", re.MULTILINE)


@dataclass(frozen=True)
class Metric:
    """One step as rank 0 reported it; what the script does not report is None.

    ``sentences_per_second`` counts the global batch, over all ranks.
    """

    step: int
    loss: float
    mlm_loss: Optional[float] = None
    nsp_loss: Optional[float] = None
    learning_rate: Optional[float] = None
    sentences_per_second: Optional[float] = None

    def as_json(self) -> str:
        """One line of ``metrics.jsonl``; JSON has no NaN, a loss that is none is null."""
        known = {name: value for name, value in asdict(self).items() if value is not None}
        return json.dumps({name: finite(value) for name, value in known.items()}, allow_nan=False)


def finite(value: Optional[float]) -> Optional[float]:
    """*value*, or None where JSON has no such number (NaN, infinity)."""
    return value if value is not None and math.isfinite(value) else None


class Tail:
    """The whole lines that a growing file has got since the last look."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = 0
        self._rest = b""

    def lines(self) -> Iterator[str]:
        """The new lines; none while the file is not there."""
        try:
            with self._path.open("rb") as stream:
                stream.seek(self._position)
                fresh = stream.read()
        except FileNotFoundError:
            return
        self._position += len(fresh)
        whole = (self._rest + fresh).split(b"\n")
        self._rest = whole.pop()
        for line in whole:
            yield line.decode("utf-8", errors="replace")


class MetricsReader:
    """Follows one run: each :meth:`read` gives the metrics that are new.

    Args:
        run_directory: the run's ``.bertkit``.
        dllogger: the script reports through dllogger (pre-training) instead of TensorFlow's log.
    """

    def __init__(self, run_directory: Path, *, dllogger: bool) -> None:
        self._dllogger = dllogger
        self._dllog = Tail(run_directory / "dllog" / "0.json")
        self._log = Tail(run_directory / "ranks" / "0.log")
        self.examples_per_second: Optional[float] = None
        self.final_loss: Optional[float] = None

    def read(self) -> List[Metric]:
        """What is new since the last call, in the order of steps."""
        if self._dllogger:
            return [metric for line in self._dllog.lines() for metric in _from_dllogger(line)]
        found = []
        for line in self._log.lines():
            match = _EXAMPLES.search(line)
            if match and self.examples_per_second is None:
                self.examples_per_second = float(match.group(1))  # training's; evaluation's follows
            match = _FINAL.search(line)
            if match:
                self.final_loss = _number(match.group(1))
            match = _ESTIMATOR.search(line)
            loss = _number(match.group(1)) if match else None
            if match and loss is not None:
                found.append(Metric(step=int(match.group(2)), loss=loss))
        return found


def evaluation(output: Path) -> Dict[str, float]:
    """What the script wrote into ``eval_results.txt``, such as ``eval_accuracy``; else empty."""
    try:
        text = (output / "eval_results.txt").read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return {}
    pairs: List[Tuple[str, Optional[float]]] = [
        (name, _number(value)) for name, value in _RESULT.findall(text)
    ]
    return {name: value for name, value in pairs if value is not None}


def _from_dllogger(line: str) -> Iterator[Metric]:
    """The metric in a ``DLLL {json}`` line of type LOG that has a step; else nothing."""
    if not line.startswith("DLLL "):
        return
    try:
        record = json.loads(line[5:])
        data = record.get("data", {})
        step = record.get("step")
        if record.get("type") == "LOG" and isinstance(step, int) and "total_loss" in data:
            yield Metric(
                # Upstream adds one to a number that counts the finished steps already
                # (run_pretraining.py, "One-based index for printing").
                step=step - 1,
                loss=float(data["total_loss"]),
                mlm_loss=_number(data.get("mlm_loss")),
                nsp_loss=_number(data.get("nsp_loss")),
                learning_rate=_number(data.get("learning_rate")),
                sentences_per_second=_number(data.get("throughput_train")),
            )
    except (ValueError, TypeError, AttributeError):
        return  # a line that another process wrote into: the next one will be whole


def _number(value: object) -> Optional[float]:
    try:
        return float(str(value))
    except ValueError:
        return None

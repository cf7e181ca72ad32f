"""Reading a run's progress from what upstream writes: dllogger's file and TensorFlow's log."""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Sequence, Tuple

# TensorFlow's own lines of the fine-tuning scripts: "... loss = 0.6931, step = 0 (1.2 sec)" now and
# then, "Loss for final step: 0.4321." at the end of training
_ESTIMATOR = re.compile(r"loss = ([-+.\w]+), step = (\d+)")
_FINAL = re.compile(r"Loss for final step: ([-+.\w]+?)\.?$")
# "global_step/sec: 5.17882": TPUEstimator, which upstream fine-tunes with, says neither loss nor
# step, but this after every so many steps; the first time one step later
_STEPS_PER_SECOND = re.compile(r"\bglobal_step/sec: ([\d.eE+-]+)$")
# "Saving checkpoints for 100 into ...": also at the start
_SAVED = re.compile(r"\bSaving checkpoints for (\d+) into ")
# "Avg total throughput = 12.34 [examples/sec]", after "***** train statistics *****"
_EXAMPLES = re.compile(r"Avg total throughput = ([\d.]+) \[examples/sec\]")
# "  Num steps = 28": upstream's fine-tuning scripts before they train
_STEPS = re.compile(r"\bNum steps = (\d+)$")
# tf.estimator's NanTensorHook, which ends the training before the loss is logged
_NAN = re.compile(r"Model diverged with loss = NaN|NaN loss during training")
# Horovod's stall inspector, which repeats itself while nothing moves
_STALLED = re.compile(
    r"[Ss]talled|[Mm]issing ranks|stall_inspector|subset of ranks|more than \d+ sec"
)
_RESULT = re.compile(r"^(\w+) = ([-+.\w]+)$", re.MULTILINE)


@dataclass(frozen=True)
class Metric:
    """One step as rank 0 reported it; what the script does not report is None.

    ``sentences_per_second`` counts the global batch, over all ranks.
    """

    step: int
    loss: Optional[float] = None
    mlm_loss: Optional[float] = None
    nsp_loss: Optional[float] = None
    learning_rate: Optional[float] = None
    sentences_per_second: Optional[float] = None

    def as_json(self) -> str:
        """One line of ``metrics.jsonl``; JSON has no NaN, a loss that is no number is null."""
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
        global_batch: sentences of a step, over all ranks, for a rate where steps a second are said.
        every: steps between two of those.

    Attributes:
        signs: counts what shows that rank 0 gets on: reports, and the loss that TensorFlow logs for
            every batch, also between two reports. After the last step, every line but Horovod's
            complaints of stalled ranks counts: evaluation has no steps.
        total_steps: how many there will be, once the script has said so.
        examples_per_second: the whole training's, said at its end.
        final_loss: likewise.
        last_finite_step, lost_at: of the loss: the last step where it was a number, and the first
            one where it was none, if there was one.
    """

    def __init__(
        self,
        run_directory: Path,
        *,
        dllogger: bool,
        global_batch: Optional[float] = None,
        every: int = 1,
    ) -> None:
        self._dllogger = dllogger
        self._dllog = Tail(run_directory / "dllog" / "0.json")
        self._log = Tail(run_directory / "ranks" / "0.log")
        self.signs = 0
        self.total_steps: Optional[int] = None
        self.examples_per_second: Optional[float] = None
        self.final_loss: Optional[float] = None
        self.last_finite_step: Optional[int] = None
        self.lost_at: Optional[int] = None
        self._nan_said = False
        self._global_batch = global_batch
        self._every = every
        self._step: Optional[int] = None  # as far as the log tells it
        self._losses = False  # whether the log tells losses, with their steps
        self._counted = False  # whether steps were counted by what is said of steps a second
        self._rate: Optional[float] = None

    def read(self) -> List[Metric]:
        """What is new since the last call, in the order of steps."""
        reported = [metric for line in self._dllog.lines() for metric in _from_dllogger(line)]
        logged = [metric for line in self._log.lines() for metric in self._from_log(line)]
        self.signs += len(reported) + len(logged)
        for metric in [*logged, *reported]:
            if metric.loss is None:
                continue
            if math.isfinite(metric.loss):
                self.last_finite_step = max(self.last_finite_step or 0, metric.step)
            elif self.lost_at is None:
                self.lost_at = metric.step
        given_up = self.final_loss is not None and not math.isfinite(self.final_loss)
        if self.lost_at is None and (given_up or self._nan_said):
            self._lose()
        return reported if self._dllogger else logged

    def lost_by(self, lines: Sequence[str]) -> bool:
        """Whether the loss is lost: rank 0's own, or by these *lines* of another rank."""
        if self.lost_at is None and any(_NAN.search(line) for line in lines):
            self._lose()
        return self.lost_at is not None

    def _lose(self) -> None:
        # The step after the last one that is known to have been good.
        last = self.last_finite_step
        self.lost_at = (self._step or 0) if last is None else last + 1

    def _from_log(self, line: str) -> Iterator[Metric]:
        match = _ESTIMATOR.search(line)
        loss = _number(match.group(1)) if match else None
        if match and loss is not None:
            self._step, self._losses = int(match.group(2)), True
            yield Metric(self._step, loss, sentences_per_second=self._rate)
            return
        match = _STEPS_PER_SECOND.search(line)
        if match and self.final_loss is None:
            yield from self._further(_number(match.group(1)))
            return
        match = _SAVED.search(line)
        if match:
            self._step = max(self._step or 0, int(match.group(1)))
        if self.final_loss is not None and line.strip() and not _STALLED.search(line):
            self.signs += 1
        self._nan_said = self._nan_said or bool(_NAN.search(line))
        match = _EXAMPLES.search(line)
        if match and self.examples_per_second is None:
            self.examples_per_second = float(match.group(1))  # training's; evaluation's follows
        match = _FINAL.search(line)
        if match:
            self.final_loss = _number(match.group(1))
        match = _STEPS.search(line)
        if match and self.total_steps is None:
            self.total_steps = int(match.group(1))

    def _further(self, steps_per_second: Optional[float]) -> Iterator[Metric]:
        """What *steps_per_second* says: a rate, and how far it is where no loss comes with it."""
        if steps_per_second and self._global_batch:
            self._rate = steps_per_second * self._global_batch
        if not self._losses:
            self._step = (self._step or 0) + self._every + (0 if self._counted else 1)
            self._counted = True
            yield Metric(self._step, sentences_per_second=self._rate)


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

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bertkit.launch.metrics import Metric, MetricsReader, Tail, evaluation


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "dllog").mkdir()
    (tmp_path / "ranks").mkdir()
    return tmp_path


def dllogger_line(step: object, **data: object) -> str:
    return "DLLL " + json.dumps({"type": "LOG", "step": step, "data": data}) + "\n"


def test_a_tail_gives_whole_lines_only(tmp_path: Path) -> None:
    path = tmp_path / "log"
    tail = Tail(path)
    assert list(tail.lines()) == []
    path.write_text("one\ntw")
    assert list(tail.lines()) == ["one"]
    with path.open("a") as stream:
        stream.write("o\nthree\n")
    assert list(tail.lines()) == ["two", "three"]


def test_pre_training_is_followed_through_dllogger_with_the_steps_that_are_done(run: Path) -> None:
    reader = MetricsReader(run, dllogger=True)
    assert reader.read() == []
    (run / "dllog/0.json").write_text(
        'DLLL {"type": "METADATA", "metric": "mlm_loss", "metadata": {}}\n'
        + dllogger_line(
            11,
            total_loss=9.5,
            mlm_loss=9.0,
            nsp_loss=0.5,
            learning_rate="0.001",
            throughput_train=12.5,
        )
        + dllogger_line([], throughput_train=12.0)
    )
    # Upstream's number counts one more than the steps that are done.
    assert reader.read() == [Metric(10, 9.5, 9.0, 0.5, 0.001, 12.5)]
    assert reader.read() == []


def test_a_line_torn_by_another_writer_is_passed_over(run: Path) -> None:
    reader = MetricsReader(run, dllogger=True)
    torn = dllogger_line(2, total_loss=9.0)
    (run / "dllog/0.json").write_text(torn[:20] + "\n" + dllogger_line(3, total_loss=8.0))
    assert [metric.step for metric in reader.read()] == [2]


def test_fine_tuning_is_followed_through_tensorflows_log(run: Path) -> None:
    reader = MetricsReader(run, dllogger=False)
    (run / "ranks/0.log").write_text(
        "I1122 12:00:00.000 140 basic_session_run_hooks.py:262] loss = 0.7, step = 0\n"
        "INFO:tensorflow:loss = 0.5, step = 100 (4.2 sec)\n"
        "INFO:tensorflow:Loss for final step: 0.4321.\n"
        "INFO:tensorflow:  Avg total throughput = 37.13 [examples/sec]\n"
        "INFO:tensorflow:  Avg total throughput = 999.00 [examples/sec]\n"
    )
    assert [(metric.step, metric.loss) for metric in reader.read()] == [(0, 0.7), (100, 0.5)]
    assert reader.final_loss == 0.4321
    assert reader.examples_per_second == 37.13  # training's, not evaluation's


def test_evaluation_results_are_read_as_upstream_writes_them(tmp_path: Path) -> None:
    assert evaluation(tmp_path) == {}
    (tmp_path / "eval_results.txt").write_text("accuracy = 0.86\nglobal_step = 75\nloss = nan\n")
    found = evaluation(tmp_path)
    assert (found["accuracy"], found["global_step"]) == (0.86, 75)


def test_a_loss_that_is_no_number_is_null_in_json() -> None:
    line = Metric(step=4, loss=float("nan"), mlm_loss=float("inf")).as_json()
    assert json.loads(line) == {"step": 4, "loss": None, "mlm_loss": None}

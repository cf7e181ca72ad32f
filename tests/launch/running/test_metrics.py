from __future__ import annotations

import json
from pathlib import Path

import pytest

from bertkit.launch.running.metrics import Metric, MetricsReader, Tail, evaluation


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


def test_where_no_loss_is_logged_steps_are_counted_and_make_the_rate(run: Path) -> None:
    """As upstream's fine-tuning logs from TPUEstimator, whose first line comes with step 2."""
    reader = MetricsReader(run, dllogger=False, global_batch=32)
    log = run / "ranks/0.log"
    log.write_text(
        "INFO:tensorflow:  Num steps = 12\n"
        "INFO:tensorflow:Saving checkpoints for 0 into /out/worker_0/model.ckpt.\n"
        + "INFO:tensorflow:global_step/sec: 5.0\nINFO:tensorflow:examples/sec: 40.0\n"
        * 2
    )
    assert reader.read() == [
        Metric(step, sentences_per_second=160.0) for step in (2, 3)
    ]  # fmt: skip
    assert reader.signs == 2  # the run is not taken for one that hangs
    assert Metric(3, sentences_per_second=160.0).as_json() == (
        '{"step": 3, "sentences_per_second": 160.0}'
    )
    log.open("a").write("INFO:tensorflow:global_step/sec: 2.5\n" * 9)
    assert reader.read()[-1] == Metric(12, sentences_per_second=80.0)
    log.open("a").write(
        "INFO:tensorflow:Saving checkpoints for 12 into /out/worker_0/model.ckpt.\n"
        "INFO:tensorflow:Loss for final step: 0.5.\nINFO:tensorflow:global_step/sec: 9\n"
    )
    assert reader.read() == []  # what follows is no training


def test_steps_go_on_from_where_a_resumed_run_begins(run: Path) -> None:
    reader = MetricsReader(run, dllogger=False, every=10)
    (run / "ranks/0.log").write_text(
        "INFO:tensorflow:Saving checkpoints for 100 into /out/model.ckpt.\n"
        + "INFO:tensorflow:global_step/sec: 5.0\n" * 2
    )
    assert [metric.step for metric in reader.read()] == [111, 121]


def test_a_rate_goes_with_the_loss_where_both_are_logged(run: Path) -> None:
    reader = MetricsReader(run, dllogger=False, global_batch=8)
    (run / "ranks/0.log").write_text(
        "INFO:tensorflow:loss = 0.7, step = 0\n"
        "INFO:tensorflow:global_step/sec: 5.0\n"
        "INFO:tensorflow:loss = 0.6, step = 100 (20 sec)\n"
    )
    assert reader.read() == [Metric(0, 0.7), Metric(100, 0.6, sentences_per_second=40.0)]


def test_evaluation_results_are_read_as_upstream_writes_them(tmp_path: Path) -> None:
    assert evaluation(tmp_path) == {}
    (tmp_path / "eval_results.txt").write_text("accuracy = 0.86\nglobal_step = 75\nloss = nan\n")
    found = evaluation(tmp_path)
    assert (found["accuracy"], found["global_step"]) == (0.86, 75)


def test_a_loss_that_is_no_number_is_null_in_json() -> None:
    line = Metric(step=4, loss=float("nan"), mlm_loss=float("inf")).as_json()
    assert json.loads(line) == {"step": 4, "loss": None, "mlm_loss": None}


def test_what_the_script_says_of_its_steps_is_known(tmp_path: Path) -> None:
    reader = with_log(
        tmp_path,
        "INFO:tensorflow:***** Running training *****\n"
        "INFO:tensorflow:  Num examples = 400\nINFO:tensorflow:  Num steps = 50\n",
    )
    reader.read()
    assert reader.total_steps == 50
    assert reader.signs == 0


def test_every_batch_is_a_sign_of_progress_also_between_two_reports(tmp_path: Path) -> None:
    """Upstream logs the loss of each batch; with much accumulation a step takes minutes."""
    reader = with_log(
        tmp_path, "INFO:tensorflow:loss = 11.0, step = 0 (9.1 sec)\n" * 3, dllogger=True
    )
    assert reader.read() == []
    assert reader.signs == 3


def test_horovods_complaints_are_no_progress(tmp_path: Path) -> None:
    complaints = (
        "[W horovod/common/stall_inspector.cc:107] One or more tensors were submitted to be "
        "reduced, gathered or broadcasted by subset of ranks and are waiting for remainder of "
        "ranks for more than 60 seconds.\nStalled ranks:\n"
    )
    reader = with_log(tmp_path, "INFO:tensorflow:Loss for final step: 0.5.\n" + complaints)
    reader.read()
    assert reader.signs == 0
    (tmp_path / "ranks/0.log").open("a").write("INFO:tensorflow:Evaluation [10/100]\n")
    reader.read()
    assert reader.signs == 1


@pytest.mark.parametrize(
    "line",
    [
        "INFO:tensorflow:loss = nan, step = 5",
        "INFO:tensorflow:Loss for final step: nan.",
        "ERROR:tensorflow:Model diverged with loss = NaN.",
    ],
)
def test_a_lost_loss_is_noticed(tmp_path: Path, line: str) -> None:
    reader = with_log(tmp_path, f"INFO:tensorflow:loss = 0.7, step = 4\n{line}\n")
    reader.read()
    assert reader.lost_at == 5
    assert reader.last_finite_step == 4


def with_log(directory: Path, text: str, *, dllogger: bool = False) -> MetricsReader:
    (directory / "ranks").mkdir()
    (directory / "ranks/0.log").write_text(text)
    return MetricsReader(directory, dllogger=dllogger)

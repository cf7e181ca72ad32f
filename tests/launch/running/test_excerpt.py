"""What is shown of a failed rank's log: the lines that matter, as real programs write them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Callable, Optional

import pytest

from bertkit.errors import RunFailed
from bertkit.launch import train
from bertkit.launch.plan import Plan, Request, make_plan
from bertkit.launch.running.excerpt import excerpt, telling
from bertkit.upstream.lock import read_lock
from tests.launch.runs import script

# Lines of upstream 1.13.0's runs on TensorFlow 2.13.1, with shorter paths.
STARTS = """\
2026-11-25 02:43:02.511755: I tensorflow/core/platform/cpu_feature_guard.cc:182] This TensorFlow \
binary is optimized to use available CPU instructions in performance-critical operations.
To enable the following instructions: AVX2 FMA, in other operations, rebuild TensorFlow with the \
appropriate compiler flags.
WARNING:tensorflow:From /mr/bert/run_pretraining.py:630: parallel_interleave (from \
tensorflow.python.data.experimental.ops.interleave_ops) is deprecated and will be removed in a \
future version.
Instructions for updating:
Use `tf.data.Dataset.interleave(map_func, cycle_length, block_length)` instead.
/mr/bert/modeling.py:716: UserWarning: `tf.layers.dense` is deprecated and will be removed in a \
future version. Please use `tf.keras.layers.Dense` instead.
  query_layer = tf.compat.v1.layers.dense(
Initializing LAMB Optimizer
INFO:tensorflow:Done calling model_fn.
WARNING:tensorflow:From /venv/lib/python3.11/site-packages/tensorflow/python/training/\
monitored_session.py:1455: SessionRunArgs.__new__ (from tensorflow.python.training.\
session_run_hook) is deprecated and will be removed in a future version.
Instructions for updating:
Use tf.keras instead.
""".splitlines()

DIVERGES = """\
ERROR:tensorflow:Model diverged with loss = NaN.
Traceback (most recent call last):
  File "/mr/bert/run_pretraining.py", line 960, in <module>
    tf.compat.v1.app.run()
  File "/venv/lib/python3.11/site-packages/absl/app.py", line 355, in _run_main
    sys.exit(main(argv))
             ^^^^^^^^^^
  File "/mr/bert/run_pretraining.py", line 820, in main
    estimator.train(input_fn=train_input_fn, hooks=training_hooks)
  File "/venv/lib/python3.11/site-packages/tensorflow/python/training/monitored_session.py", line 1
    outputs = _WrappedSession.run(
              ^^^^^^^^^^^^^^^^^^^^
  File "/venv/lib/python3.11/site-packages/tensorflow/hooks.py", line 785, in run
    raise NanLossDuringTrainingError
hooks.NanLossDuringTrainingError: NaN loss during training.
""".splitlines()


def test_warnings_of_every_run_are_left_out_and_what_it_did_is_kept() -> None:
    assert excerpt(STARTS, 20) == [
        "Initializing LAMB Optimizer",
        "INFO:tensorflow:Done calling model_fn.",
    ]


def test_of_a_traceback_the_scripts_own_frames_and_the_innermost_are_shown() -> None:
    shown = excerpt([*STARTS, *DIVERGES], 20)
    assert shown[2:] == [
        "ERROR:tensorflow:Model diverged with loss = NaN.",
        "Traceback (most recent call last):",
        '  File "/mr/bert/run_pretraining.py", line 960, in <module>',
        "    tf.compat.v1.app.run()",
        '  File "/mr/bert/run_pretraining.py", line 820, in main',
        "    estimator.train(input_fn=train_input_fn, hooks=training_hooks)",
        '  File "/venv/lib/python3.11/site-packages/tensorflow/hooks.py", line 785, in run',
        "    raise NanLossDuringTrainingError",
        "hooks.NanLossDuringTrainingError: NaN loss during training.",
    ]
    assert telling([*STARTS, *DIVERGES]) == shown[-1]
    assert excerpt([*STARTS, *DIVERGES], 3) == shown[-3:]


def test_what_a_rank_repeats_while_others_are_gone_is_shown_once() -> None:
    said = "W tensorflow/core/framework/op_kernel.cc:1828] UNKNOWN: Horovod has been shut down."
    lines = [f"2026-11-25 02:55:38.12{moment}: {said}" for moment in range(1000, 1100)]
    assert excerpt(lines, 20) == lines[:1]


def test_advice_at_the_very_end_and_a_warning_without_its_line_hide_nothing() -> None:
    assert excerpt(["/x.py:3: FutureWarning: soon", "it breaks"], 20) == ["it breaks"]
    assert excerpt(["it breaks", "Instructions for updating:"], 20) == ["it breaks"]


@pytest.mark.parametrize(
    ("last", "why"),
    [
        ("INFO:tensorflow:loss = 10.999028, step = 7 (0.096 sec)", None),
        ("no more room", "no more room"),
        ("INFO:root:ValueError: odd data", "INFO:root:ValueError: odd data"),
    ],
)
def test_how_far_a_run_was_is_no_reason_for_its_end(last: str, why: Optional[str]) -> None:
    assert telling([*STARTS, last]) == why
    assert telling([]) is None


@pytest.mark.tensorflow
def test_tensorflows_own_error_is_shown_whole_though_it_repeats_the_stack_twice(
    repo: Path, request_for: Callable[..., Request], caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("tensorflow")
    (repo / "TensorFlow/nlp/bert/run_pretraining.py").write_text(
        script(
            "import tensorflow as tf\n"
            "file = flags['output_dir'] + '/records'\n"
            "with tf.io.TFRecordWriter(file) as writer: writer.write(b'a whole record')\n"
            "whole = open(file, 'rb').read()\n"
            "open(file, 'wb').write(whole.replace(b'whole', b'wrong'))\n"
            "def upstreams_step():\n"
            "    with tf.Graph().as_default(), tf.compat.v1.Session() as session:\n"
            "        batches = tf.data.experimental.map_and_batch(tf.identity, 1)\n"
            "        records = tf.data.TFRecordDataset(file).apply(batches)\n"
            "        following = tf.compat.v1.data.make_one_shot_iterator(records).get_next()\n"
            "        session.run(following)\n"
            "upstreams_step()"
        )
    )
    plan: Plan = make_plan(request_for("phase1"), os.environ)
    with pytest.raises(RunFailed) as failure:
        train.execute(plan, read_lock(repo))
    assert "DataLossError: corrupted record at 12" in str(failure.value.why)
    shown = [line[4:] for line in caplog.messages if line.startswith("  | ")]
    assert len(shown) <= 20
    assert shown[-3:] == [
        "Node: 'IteratorGetNext'", "corrupted record at 12", "\t [[{{node IteratorGetNext}}]]",
    ]  # fmt: skip
    assert any("in upstreams_step" in line for line in shown)
    assert not any("deprecated" in line for line in shown)
    log = (Path(plan.run_directory) / "ranks/0.log").read_text()
    assert "Original stack trace" in log
    assert "is deprecated" in log

"""Scores in the result of a run: the stand-in's evaluation script over a small script's answers."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Callable, Dict

import pytest

from bertkit.errors import RunFailed
from bertkit.launch import train
from bertkit.launch.plan import Plan, Request, make_plan
from bertkit.resources import shipped
from bertkit.upstream.lock import read_lock
from tests.launch.runs import record_of, script

BERT = "TensorFlow/nlp/bert"
RequestFor = Callable[..., Request]


@pytest.fixture
def squad(repo: Path, data: Path, request_for: RequestFor) -> Callable[[str], Plan]:
    """A plan for SQuAD with two questions, whose script leaves the given predictions."""
    here = shipped("standin") / BERT
    shutil.copy(here / "evaluate-v1.1.py", repo / BERT)
    (repo / BERT / "utils").mkdir()
    for name in ("__init__.py", "squad_metrics.py"):
        shutil.copy(here / "utils" / name, repo / BERT / "utils")
    questions = [
        {"id": "a", "question": "Who?", "answers": [{"text": "Ada Lovelace", "answer_start": 0}]},
        {"id": "b", "question": "When?", "answers": [{"text": "1843", "answer_start": 20}]},
    ]
    paragraphs = [{"context": "Ada Lovelace, in 1843", "qas": questions}]
    dev = {"version": "1.1", "data": [{"title": "x", "paragraphs": paragraphs}]}
    (data / "SQuAD/dev-v1.1.json").write_text(json.dumps(dev))

    def make(predictions: str) -> Plan:
        then = (
            "flags['dllog_path'] = os.devnull\nsave()\n"
            f"open(flags['output_dir'] + '/predictions.json', 'w').write({predictions!r})\n"
        )
        text = script(then).replace('log = open(flags["dllog_path"], "w")\n', "")
        (repo / BERT / "run_squad.py").write_text(text)
        return make_plan(request_for("squad"), os.environ)

    return make


def test_upstreams_scores_stand_in_the_result_and_in_the_record(
    squad: Callable[[str], Plan], repo: Path
) -> None:
    plan = squad('{"a": "Lovelace", "b": "1843"}')
    result = train.execute(plan, read_lock(repo))
    assert result.evaluation == {"exact_match": 50.0, "f1": pytest.approx(100 * (2 / 3 + 1) / 2)}
    assert record_of(plan)["result"]["evaluation"] == result.evaluation


@pytest.mark.parametrize("predictions", ["", "7", '{"a": '])
def test_a_run_that_cannot_be_scored_is_no_success(
    squad: Callable[[str], Plan], repo: Path, predictions: str
) -> None:
    plan = squad(predictions)
    with pytest.raises(RunFailed, match="is trained, but could not be evaluated") as failure:
        train.execute(plan, read_lock(repo))
    assert failure.value.exit_code == 1
    assert record_of(plan)["state"] == "failed"


def test_results_of_an_earlier_run_are_not_taken_for_this_ones(
    repo: Path, request_for: RequestFor, data: Path
) -> None:
    (repo / BERT / "run_pretraining.py").write_text(script("report(1)\nsave()"))
    (data / "tfrecord/seq_len_128/wikicorpus_en/test").mkdir()
    found: Dict[bool, object] = {}
    for evaluates in (False, True):
        plan = make_plan(request_for("phase1", evaluate=evaluates), os.environ)
        Path(plan.output).mkdir(parents=True, exist_ok=True)
        Path(plan.output, "eval_results.txt").write_text("masked_lm_loss = 7.5\n")
        found[evaluates] = train.execute(plan, read_lock(repo)).evaluation
    assert found == {False: {}, True: {"masked_lm_loss": 7.5}}

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Callable

import pytest

from bertkit.errors import DataDamaged, UsageProblem
from bertkit.launch import starting
from bertkit.launch.plan import Request, make_plan
from bertkit.launch.recipes.recipe import load
from bertkit.resources import shipped

Put = Callable[[Path, int], Path]
LARGE = "pretrained/wwm_uncased_L-24_H-1024_A-16"


@pytest.fixture
def pretrained(data: Path, whole_checkpoint: Put) -> Path:
    """A pretrained large model, as downloads leave it; its weights are a tiny model's."""
    place = data / LARGE
    whole_checkpoint(place, 7)
    for part in place.glob("model.ckpt-7.*"):
        part.rename(place / part.name.replace("model.ckpt-7", "bert_model.ckpt"))
    (place / "bert_config.json").write_bytes(
        (shipped("launchers") / "models" / "large.json").read_bytes()
    )
    (place / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n")
    return place


def find(job: str, data: Path, output: Path, asked: str = "auto", model: str = "large"):
    return starting.find(load(job), model, data, output, asked)


@pytest.mark.parametrize("job", ["mrpc", "squad"])
def test_fine_tuning_prefers_phase_2_to_the_pretrained_model(
    job: str, data: Path, tmp_path: Path, pretrained: Path, whole_checkpoint: Put
) -> None:
    output = tmp_path / "results" / job
    start = find(job, data, output)
    assert (start.checkpoint, start.model) == (pretrained / "bert_model.ckpt", pretrained)
    assert "starts from the pretrained model" in start.remarks[0]
    trained = whole_checkpoint(tmp_path / "results/phase2", 4)
    start = find(job, data, output)
    assert (start.checkpoint, start.model) == (trained, None)
    assert "starts from phase2's step 4" in start.remarks
    for asked in ("pretrained", str(pretrained / "bert_model.ckpt")):
        assert find(job, data, output, asked).model == pretrained


def test_where_there_is_neither_both_places_are_named(data: Path, tmp_path: Path) -> None:
    with pytest.raises(DataDamaged) as refusal:
        find("squad", data, tmp_path / "results/squad")
    said = str(refusal.value)
    assert str(tmp_path / "results/phase2") in said
    assert str(data / LARGE) in said
    assert "bertkit data pretrained" in said


def test_pre_training_does_not_take_the_pretrained_model_by_itself(
    data: Path, tmp_path: Path, pretrained: Path
) -> None:
    assert find("phase1", data, tmp_path / "results/phase1").checkpoint is None
    with pytest.raises(DataDamaged, match="no checkpoint of phase1"):
        find("phase2", data, tmp_path / "results/phase2")
    start = find("phase1", data, tmp_path / "results/phase1", "pretrained")
    assert start.checkpoint == pretrained / "bert_model.ckpt"


def test_a_pretrained_model_brings_its_configuration_and_vocabulary(
    pretrained: Path, request_for: Callable[..., Request]
) -> None:
    plan = make_plan(request_for("squad", model="large", pretrained=pretrained), os.environ)
    assert f"--vocab_file={pretrained}/vocab.txt" in plan.script
    assert f"--bert_config_file={pretrained}/bert_config.json" in plan.script
    assert plan.needs["vocab"] == f"{pretrained}/vocab.txt"


def test_pre_training_refuses_a_model_with_another_vocabulary_than_the_records(
    data: Path, tmp_path: Path, pretrained: Path
) -> None:
    (pretrained / "vocab.txt").write_text("[PAD]\n[UNK]\n")
    with pytest.raises(UsageProblem, match="another vocabulary"):
        find("phase1", data, tmp_path / "results/phase1", "pretrained")
    assert find("mrpc", data, tmp_path / "results/mrpc", "pretrained").model == pretrained


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("bert_config.json", None, "is not there"),
        ("vocab.txt", None, "is not there"),
        ("bert_config.json", "{", "is no large model"),
        ("bert_config.json", '{"hidden_size": 768}', "is no large model"),
        ("bert_model.ckpt.index", None, "half a checkpoint"),
    ],
)
def test_a_damaged_pretrained_model_is_refused(
    data: Path, tmp_path: Path, pretrained: Path, name: str, content: str, words: str
) -> None:
    (pretrained / name).unlink() if content is None else (pretrained / name).write_text(content)
    with pytest.raises(DataDamaged, match=words):
        find("mrpc", data, tmp_path / "results/mrpc", "pretrained")


def test_there_is_no_pretrained_tiny_model(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="no pretrained tiny model"):
        find("mrpc", data, tmp_path / "results/mrpc", "pretrained", "tiny")


def test_a_resumed_run_keeps_the_vocabulary_that_it_began_with(
    data: Path, tmp_path: Path, pretrained: Path
) -> None:
    output = tmp_path / "results/mrpc"
    (output / ".bertkit").mkdir(parents=True)
    began = {"job": "mrpc", "starts_from": str(pretrained / "bert_model.ckpt")}
    (output / ".bertkit/run.json").write_text(json.dumps({"state": "failed", "plan": began}))
    start = starting.resumed(load("mrpc"), "large", data, output)
    assert (start.checkpoint, start.model) == (None, pretrained)
    assert starting.resumed(load("mrpc"), "large", data, tmp_path).model is None

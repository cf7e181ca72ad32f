from __future__ import annotations

from pathlib import Path

import pytest

from bertkit.errors import BertkitError, UsageProblem
from bertkit.launch import recipe
from bertkit.launch.plan import scale
from bertkit.resources import shipped


def changed(tmp_path: Path, old: str, new: str) -> Path:
    text = (shipped("launchers") / "phase2.yaml").read_text()
    assert old in text
    path = tmp_path / "changed.yaml"
    path.write_text(text.replace(old, new))
    return path


def test_there_are_recipes_for_both_phases_and_mrpc() -> None:
    assert {"phase1", "phase2", "mrpc"} <= set(recipe.names())


@pytest.mark.parametrize("job", recipe.names())
def test_every_shipped_recipe_can_be_read(job: str) -> None:
    assert recipe.load(job).job == job


# Upstream's README for BERT Large: 1 and 8 cards, and the learning rate that is multiplied by the
# number of ranks inside run_pretraining.py.
@pytest.mark.parametrize(
    ("job", "ranks", "accumulation", "learning_rate"),
    [
        ("phase1", 1, 1024, 0.006),
        ("phase1", 8, 128, 0.00075),
        ("phase2", 1, 4096, 0.004),
        ("phase2", 8, 512, 0.0005),
    ],
)
def test_the_numbers_are_those_of_upstreams_readme(
    job: str, ranks: int, accumulation: int, learning_rate: float
) -> None:
    values, _ = scale(recipe.load(job), "large", ranks, None)
    assert values["accumulation"] == accumulation
    assert values["learning_rate"] == pytest.approx(learning_rate)


@pytest.mark.parametrize("job", ["phase1", "phase2"])
@pytest.mark.parametrize("model", recipe.MODELS)
@pytest.mark.parametrize("ranks", [1, 2, 4, 8])
def test_the_global_batch_and_rate_stay_the_same_whatever_the_ranks(
    job: str, model: str, ranks: int
) -> None:
    values, _ = scale(recipe.load(job), model, ranks, None)
    assert values["batch"] * values["accumulation"] * ranks == values["global_batch"]
    assert values["learning_rate"] * ranks == pytest.approx(values["global_learning_rate"])


def test_ranks_that_cannot_share_the_batch_are_refused_with_those_that_can() -> None:
    with pytest.raises(UsageProblem) as refusal:
        scale(recipe.load("phase2"), "large", 3, None)
    assert "3 cards cannot share the global batch of 32768" in str(refusal.value)
    assert "--cards 1 or 2 or 4 or 8" in str(refusal.value)


def test_steps_can_be_set_where_a_job_has_steps() -> None:
    values, _ = scale(recipe.load("phase1"), "large", 8, 10)
    assert values["steps"] == 10
    with pytest.raises(UsageProblem, match="given in epochs"):
        scale(recipe.load("mrpc"), "large", 8, 10)


def test_a_job_without_a_recipe_is_refused_with_those_that_have_one() -> None:
    with pytest.raises(UsageProblem, match="phase1"):
        recipe.load("../phase1")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("job: phase2\n", "", "missing: job"),
        ("job: phase2\n", "job: phase2\nshell: rm\n", "unknown: shell"),
        ("batch: 8\n", "batch: many\n", "numbers.upstream.batch"),
        ("batch: 8\n", "batch: -8\n", "above 0"),
        ("global_learning_rate / ranks", "ranks.real", "not allowed in a formula"),
        ("global_learning_rate / ranks", "speed / ranks", "unknown name 'speed'"),
        ("${batch}", "${bunch}", "nothing is called bunch"),
        ("- --noamp", "- noamp", "does not begin with"),
        ("script: TensorFlow", "script: /TensorFlow", "must stay below"),
        ("training_records: tf", "training_records: ../tf", "must stay below"),
    ],
)
def test_a_damaged_recipe_is_refused_with_the_key_that_is_wrong(
    tmp_path: Path, old: str, new: str, words: str
) -> None:
    with pytest.raises(BertkitError, match="not a usable recipe") as refusal:
        recipe.read(changed(tmp_path, old, new))
    assert words in str(refusal.value)

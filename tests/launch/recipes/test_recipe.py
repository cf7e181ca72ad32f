from __future__ import annotations

from pathlib import Path

import pytest

from bertkit.errors import BertkitError, UsageProblem
from bertkit.launch.recipes import recipe
from bertkit.launch.recipes.scaling import Sizes, scale
from bertkit.resources import shipped


def changed(tmp_path: Path, old: str, new: str) -> Path:
    text = (shipped("launchers") / "phase2.yaml").read_text()
    assert old in text
    path = tmp_path / "changed.yaml"
    path.write_text(text.replace(old, new))
    return path


def test_there_are_recipes_for_both_phases_and_both_tasks() -> None:
    assert {"phase1", "phase2", "mrpc", "squad"} <= set(recipe.names())


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
    values, _ = scale(recipe.load(job), "large", ranks)
    assert values["accumulation"] == accumulation
    assert values["learning_rate"] == pytest.approx(learning_rate)


@pytest.mark.parametrize("job", ["phase1", "phase2"])
@pytest.mark.parametrize("model", recipe.MODELS)
@pytest.mark.parametrize("ranks", [1, 2, 4, 8])
def test_the_global_batch_and_rate_stay_the_same_whatever_the_ranks(
    job: str, model: str, ranks: int
) -> None:
    values, _ = scale(recipe.load(job), model, ranks)
    assert values["batch"] * values["accumulation"] * ranks == values["global_batch"]
    assert values["learning_rate"] * ranks == pytest.approx(values["schedule_rate"])


def test_ranks_that_cannot_share_the_batch_are_refused_with_those_that_can() -> None:
    with pytest.raises(UsageProblem) as refusal:
        scale(recipe.load("phase2"), "large", 3)
    assert "3 cards cannot share the global batch of 32768" in str(refusal.value)
    assert "take 2 or 4 cards, or --global-batch 32760 or 32784" in str(refusal.value)


@pytest.mark.parametrize(
    ("ranks", "sizes", "way_out"),
    [
        (8, Sizes(batch=48), "--batch 32 or 64"),
        (8, Sizes(batch=48), "--global-batch 65280 or 65664"),
        (8, Sizes(global_batch=1000), "--batch 25 or 125, or --global-batch 512 or 1024"),
        (8, Sizes(global_batch=100), "--global-batch 512"),
        (24, Sizes(), "take 16 or 32 cards"),
    ],
)
def test_a_batch_that_does_not_divide_is_refused_with_the_nearest_that_do(
    ranks: int, sizes: Sizes, way_out: str
) -> None:
    with pytest.raises(UsageProblem) as refusal:
        scale(recipe.load("phase1"), "large", ranks, sizes)
    assert way_out in str(refusal.value)


def test_another_global_batch_keeps_the_sequences_and_moves_the_rate_by_its_root() -> None:
    values, _ = scale(recipe.load("phase1"), "large", 8, Sizes(global_batch=16384))
    assert (values["steps"], values["accumulation"]) == (7038 * 4, 32)
    assert values["learning_rate"] == pytest.approx(0.006 / 2 / 8)
    assert values["warmup_steps"] / values["steps"] == pytest.approx(2000 / 7038, abs=1e-4)


def test_another_batch_of_a_card_changes_the_accumulation_alone() -> None:
    usual, _ = scale(recipe.load("phase2"), "large", 8)
    other, _ = scale(recipe.load("phase2"), "large", 8, Sizes(batch=16))
    assert {name for name in usual if usual[name] != other[name]} == {"batch", "accumulation"}
    assert other["accumulation"] == 256


@pytest.mark.parametrize(("steps", "warmup"), [(1, 0), (2, 1), (100, 28), (2000, 568)])
def test_a_short_run_leaves_its_warm_up(steps: int, warmup: int) -> None:
    values, derivations = scale(recipe.load("phase1"), "large", 8, Sizes(steps=steps))
    assert values["warmup_steps"] == warmup < steps
    said = next(str(each) for each in derivations if each.name == "warmup_steps")
    assert said == (
        "warmup_steps = round(steps * schedule_warmup / schedule_steps) = "
        f"round(({steps} * 2000) / 7038) = {warmup}"
    )


def test_fine_tuning_takes_its_global_batch_at_once() -> None:
    values, _ = scale(recipe.load("squad"), "large", 8, Sizes(global_batch=256))
    assert (values["batch"], values["global_batch"]) == (32, 256)
    with pytest.raises(UsageProblem, match="cannot share the global batch of 100") as refusal:
        scale(recipe.load("mrpc"), "large", 8, Sizes(global_batch=100))
    assert "--global-batch 96 or 104" in str(refusal.value)


def test_steps_can_be_set_where_a_job_has_steps() -> None:
    values, _ = scale(recipe.load("phase1"), "large", 8, Sizes(steps=10))
    assert values["steps"] == 10
    with pytest.raises(UsageProblem, match="given in epochs"):
        scale(recipe.load("mrpc"), "large", 8, Sizes(steps=10))


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
        ("sqrt(global_batch / schedule_batch)", "ranks.real", "not allowed in a formula"),
        ("sqrt(global_batch / schedule_batch)", "speed", "unknown name 'speed'"),
        ("${batch}", "${bunch}", "nothing is called bunch"),
        ("- --noamp", "- noamp", "does not begin with"),
        ("  packed:", "  packet:", "unknown: packet"),
        ("patch: accum", "pitch: accum", "unknown: pitch"),
        ("round(accumulation / avg", "round(accumulation / bag", "unknown name 'bag"),
        ("=${profile}", "=${prefix}", "nothing is called prefix"),
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

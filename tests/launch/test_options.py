"""``--packed``, ``--eval``, ``--profile``, ``--corpus`` and ``-- FLAGS``, as a plan has them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Callable

import pytest

from bertkit.errors import DataDamaged, UsageProblem
from bertkit.launch.plan import Plan, Request, make_plan
from bertkit.launch.recipes.job import patch_problems
from bertkit.launch.recipes.recipe import load
from bertkit.resources import shipped

RequestFor = Callable[..., Request]
SCRIPT = "TensorFlow/nlp/bert/run_pretraining.py"
METADATA = "tfrecord_packed/seq_len_128/wikicorpus_en/training_metadata.json"


def plan(request: Request) -> Plan:
    return make_plan(request, os.environ)


@pytest.fixture
def repo(repo: Path) -> Path:
    """The checkout's scripts have the flags of upstream 1.13.0 (as the stand-in has them)."""
    for name in ("run_pretraining", "run_classifier", "run_squad"):
        source = shipped("standin") / f"TensorFlow/nlp/bert/{name}.py"
        (repo / f"TensorFlow/nlp/bert/{name}.py").write_bytes(source.read_bytes())
    shared = repo / "TensorFlow/nlp/bert/utils"
    shared.mkdir()
    (shared / "finetuning.py").write_bytes(
        (shipped("standin") / "TensorFlow/nlp/bert/utils/finetuning.py").read_bytes()
    )
    return repo


@pytest.fixture
def packed(data: Path) -> Path:
    """Packed records of phase 1; the metadata's path."""
    metadata = data / METADATA
    (metadata.parent / "training").mkdir(parents=True)
    (metadata.parent / "training" / "0.tfrecord").write_bytes(b"record")
    metadata.write_text(json.dumps({"avg_seq_per_sample": 2.5}))
    return metadata


def older(repo: Path, *, without: str = "", also: str = "") -> None:
    """Make the checkout's script one that lacks a flag, or has further ones."""
    script = repo / SCRIPT
    text = script.read_text()
    for word in without.split():
        text = text.replace(word, "unheard_of")
    more = [f'    flags.DEFINE_bool("{name}", True, "")\n' for name in also.split()]
    script.write_text(text + "def older():\n    pass\n" + "".join(more))


@pytest.mark.usefixtures("some_mpirun")
def test_packed_records_and_their_average_are_taken(request_for: RequestFor, packed: Path) -> None:
    made = plan(request_for("phase1", packed=True, cards=2))
    assert f"--input_files_dir={packed.parent}/training" in made.script
    assert made.needs["packing_metadata"] == str(packed)
    assert made.numbers["packs_accumulated"] == 2  # 32 / (4 * 2) = 4, of 2.5 sequences each
    assert made.numbers["sequences_a_step"] == 40
    assert any("about 40 sequences" in each for each in made.remarks)
    assert not any("pack_" in flag or "packed_data" in flag for flag in made.script)


def test_a_release_that_wants_flags_for_packing_gets_them(
    request_for: RequestFor, packed: Path, repo: Path
) -> None:
    older(repo, also="enable_packed_data_mode avg_seq_per_pack")
    made = plan(request_for("phase1", packed=True))
    assert "--enable_packed_data_mode=True" in made.script
    assert "--avg_seq_per_pack=2.5" in made.script
    plain = plan(request_for("phase1"))
    assert "--enable_packed_data_mode=False" in plain.script
    assert not any("avg_seq" in flag for flag in plain.script)


def test_a_release_that_cannot_pack_is_refused(
    request_for: RequestFor, packed: Path, repo: Path
) -> None:
    older(repo, without="avg_seq_per_sample")
    with pytest.raises(UsageProblem, match="this release cannot do --packed"):
        plan(request_for("phase1", packed=True))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "FileNotFoundError"),
        ("{", "no avg_seq_per_sample in"),
        ("{}", "no avg_seq_per_sample in"),
        ("[2.5]", "no avg_seq_per_sample in"),
        ('{"avg_seq_per_sample": "many"}', "is no number"),
        ('{"avg_seq_per_sample": NaN}', "is nan, not 1 to 3"),
        ('{"avg_seq_per_sample": 0.5}', "not 1 to 3"),
        ('{"avg_seq_per_sample": 7}', "not 1 to 3"),
        ('{"avg_seq_per_sample": true}', "is no number"),
    ],
)
def test_metadata_that_is_no_use_is_refused(
    request_for: RequestFor, packed: Path, text: str, words: str
) -> None:
    packed.unlink() if text is None else packed.write_text(text)
    with pytest.raises(DataDamaged) as refusal:
        plan(request_for("phase1", packed=True))
    assert words in str(refusal.value)
    assert str(packed) in str(refusal.value)


def test_evaluation_reads_the_plain_test_records(
    request_for: RequestFor, packed: Path, data: Path
) -> None:
    made = plan(request_for("phase1", packed=True, evaluate=True))
    assert "--do_eval=True" in made.script
    assert "--do_eval=False" not in made.script
    test = data / "tfrecord/seq_len_128/wikicorpus_en/test"
    assert f"--eval_files_dir={test}" in made.script
    assert made.needs["test_records"] == str(test)


def test_options_that_a_job_does_not_have_are_refused(request_for: RequestFor) -> None:
    with pytest.raises(UsageProblem, match="--packed is not for mrpc"):
        plan(request_for("mrpc", packed=True))
    with pytest.raises(UsageProblem, match="--eval is not for squad"):
        plan(request_for("squad", evaluate=True))


def test_options_want_the_patches_that_they_need(repo: Path) -> None:
    recipe = load("phase1")
    (missing,) = patch_problems(recipe, ["eval", "profile"], ["one-dllogger"], repo)
    assert missing.exit_code == 4
    assert "--eval needs the patch pretraining-evaluation" in str(missing)
    assert patch_problems(recipe, ["eval"], ["pretraining-evaluation"], repo) == []


def test_a_profile_is_asked_for_with_the_flag_and_its_place_is_said(
    request_for: RequestFor,
) -> None:
    made = plan(request_for("squad", profile="2,3"))
    assert "--profile=2,3" in made.script
    assert any(f"{made.output}/plugins/profile" in each for each in made.remarks)


@pytest.mark.parametrize(("job", "of_rank_0"), [("squad", "worker_N"), ("phase1", "plugins")])
def test_each_rank_has_a_trace_of_its_own(
    request_for: RequestFor, some_mpirun: Path, job: str, of_rank_0: str
) -> None:
    made = plan(request_for(job, profile="2,3", cards=2))
    (said,) = [each for each in made.remarks if "trace" in each]
    assert said.startswith(f"the trace will lie in {made.output}/{of_rank_0}")
    assert f"{made.output}/worker_N/plugins/profile" in said


@pytest.mark.parametrize("asked", ["", "3", "0,3", "3,2", "a,b", "1,2,3", "1,48"])
def test_a_profile_that_could_give_no_trace_is_refused(request_for: RequestFor, asked: str) -> None:
    with pytest.raises(UsageProblem, match="--profile"):
        plan(request_for("phase1", profile=asked))  # 6 steps of 8 passes


def test_a_release_without_the_flag_is_refused_with_the_option_to_leave_out(
    request_for: RequestFor, repo: Path
) -> None:
    older(repo, without='"profile"')
    with pytest.raises(UsageProblem, match="knows no --profile") as refusal:
        plan(request_for("phase1", profile="1,2"))
    assert "leave out --profile" in str(refusal.value)


def test_the_only_corpus_is_taken_and_of_several_one_must_be_named(
    request_for: RequestFor, data: Path
) -> None:
    wiki = data / "tfrecord/seq_len_128/wikicorpus_en"
    books = wiki.with_name("books_wiki_en_corpus")
    (books / "training").mkdir(parents=True)
    with pytest.raises(UsageProblem, match="several corpora"):
        plan(request_for("phase1"))
    named = plan(request_for("phase1", corpus="books_wiki_en_corpus"))
    assert named.needs["training_records"] == str(books / "training")
    (wiki / "training").rename(data / "away")
    assert plan(request_for("phase1")).needs["training_records"] == str(books / "training")
    with pytest.raises(UsageProblem, match="no name of a corpus"):
        plan(request_for("phase1", corpus="../secret"))


@pytest.mark.usefixtures("some_mpirun")
def test_squad_is_scored_by_upstreams_script_over_what_rank_0_predicts(
    request_for: RequestFor, repo: Path, data: Path
) -> None:
    one = plan(request_for("squad"))
    script = str(repo / "TensorFlow/nlp/bert/evaluate-v1.1.py")
    dev = str(data / "SQuAD/dev-v1.1.json")
    assert one.evaluation[1:] == (script, dev, f"{one.output}/predictions.json")
    two = plan(request_for("squad", cards=2))
    assert two.evaluation[3] == f"{two.output}/worker_0/predictions.json"
    assert plan(request_for("mrpc")).evaluation == ()


@pytest.mark.parametrize(
    ("job", "flag", "words"),
    [
        ("phase1", "--save_chekpoints_steps=3", "write --save_checkpoints_steps"),
        ("phase1", "--xyzzy", "leave it out"),
        ("phase1", "--noexport_dir", "is no flag of run_pretraining.py"),
        ("phase1", "--optimizer_type", "it would take the next word"),
        ("phase1", "--do_eval=True", "use bertkit's own --eval"),
        ("phase1", "--avg_seq_per_pack=3", "use bertkit's own --packed"),
        ("phase1", "--train_batch_size=3", "use bertkit's own --batch or --global-batch"),
        ("phase1", "--num_accumulation_steps=3", "the recipe has --num_accumulation_steps="),
        ("squad", "--profile=1,2", "use bertkit's own --profile"),
        ("squad", "--train_file=/elsewhere", "use bertkit's own --data"),
        ("squad", "--data_dir=/elsewhere", "use bertkit's own --data"),
    ],
)
def test_a_flag_that_cannot_be_is_refused_with_what_can(
    request_for: RequestFor, job: str, flag: str, words: str
) -> None:
    with pytest.raises(UsageProblem) as refusal:
        plan(request_for(job, extra_flags=(flag,)))
    assert words in str(refusal.value)


def test_flags_that_the_script_has_are_passed_on(request_for: RequestFor, packed: Path) -> None:
    flags = ("--noverbose_logging", "--resume", "--v=1", "--max_eval_steps=2")
    made = plan(request_for("phase1", evaluate=True, extra_flags=flags))
    assert made.script[-4:] == flags

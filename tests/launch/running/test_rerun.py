"""A recorded run again: what counts as different, and what a record may not do."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional

import pytest

from bertkit.cli import train as train_command
from bertkit.cli.common import exit_code_of
from bertkit.cli.rerun import as_arguments, command
from bertkit.cli.train import as_recorded
from bertkit.errors import UsageProblem
from bertkit.launch import train
from bertkit.launch.plan import Plan, Request, make_plan
from bertkit.launch.running import rerun
from bertkit.upstream.lock import read_lock
from tests.launch.runs import script

Put = Callable[[Path, int], Path]
VERSIONS: Mapping[str, Optional[str]] = {"python": "3.10.1", "tensorflow": None}


@pytest.fixture
def plan_of(repo: Path, request_for: Callable[..., Request]) -> Callable[..., Plan]:
    def make(**changes: object) -> Plan:
        (repo / "TensorFlow/nlp/bert/run_pretraining.py").write_text(script("report(1); save()"))
        return make_plan(request_for("phase1", **changes), os.environ)

    return make


@pytest.fixture
def recorded(
    plan_of: Callable[..., Plan], repo: Path, whole_checkpoint: Put, tmp_path: Path
) -> rerun.Recorded:
    """The record of a real run of a small script, from a checkpoint, with its options."""
    start = whole_checkpoint(tmp_path / "start", 3)
    plan = plan_of(init_checkpoint=start)
    options = {"phase": "1", "cards": 1, "repo": str(repo), "flags": []}
    train.execute(plan, read_lock(repo), options=options)
    record = Path(plan.run_directory) / "run.json"
    value = json.loads(record.read_text())
    value["versions"] = VERSIONS
    record.write_text(json.dumps(value))
    return rerun.load(record)


def kinds(recorded: rerun.Recorded, plan: Plan, repo: Path) -> List[str]:
    found = rerun.differences(recorded, plan, read_lock(repo), VERSIONS)
    return sorted({each.kind for each in found})


def again(recorded: rerun.Recorded, plan_of: Callable[..., Plan], **changes: object) -> Plan:
    start = Path(str(recorded.starts_from))
    return plan_of(init_checkpoint=start, output=recorded.free_output(), **changes)


def test_nothing_is_different_but_the_output(
    recorded: rerun.Recorded, plan_of: Callable[..., Plan], repo: Path
) -> None:
    plan = again(recorded, plan_of)
    assert plan.output.endswith("phase1-rerun-1")
    assert rerun.differences(recorded, plan, read_lock(repo), VERSIONS) == []


def test_an_output_directory_stands_for_its_record(recorded: rerun.Recorded) -> None:
    assert rerun.load(Path(recorded.output)) == recorded


def test_a_place_that_is_taken_is_not_taken_again(recorded: rerun.Recorded) -> None:
    recorded.free_output().mkdir()
    assert recorded.free_output().name == "phase1-rerun-2"


def test_what_is_different_is_told_by_kind(
    recorded: rerun.Recorded,
    plan_of: Callable[..., Plan],
    repo: Path,
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert kinds(recorded, again(recorded, plan_of, steps=5), repo) == ["environment"]
    monkeypatch.setenv("TF_SOMETHING", "1")
    assert kinds(recorded, again(recorded, plan_of), repo) == ["environment"]
    monkeypatch.delenv("TF_SOMETHING")
    monkeypatch.setenv("TERM", "another")  # changes from shell to shell
    assert kinds(recorded, again(recorded, plan_of), repo) == []
    (data / "tfrecord/seq_len_128/wikicorpus_en/training/0.tfrecord").write_bytes(b"Record")
    assert kinds(recorded, again(recorded, plan_of), repo) == ["data"]


def test_another_checkpoint_of_the_same_name_is_different_data(
    recorded: rerun.Recorded, plan_of: Callable[..., Plan], repo: Path
) -> None:
    index = Path(f"{recorded.starts_from}.index")
    index.write_bytes(index.read_bytes()[:-1] + b"?")
    assert kinds(recorded, again(recorded, plan_of), repo) == ["data"]


def test_another_commit_is_another_tree_and_other_versions_another_environment(
    recorded: rerun.Recorded, plan_of: Callable[..., Plan], repo: Path
) -> None:
    plan = again(recorded, plan_of)
    lock = replace(read_lock(repo), commit="9" * 40)
    found = rerun.differences(recorded, plan, lock, {**VERSIONS, "tensorflow": "2.15.1"})
    assert [(each.kind, each.what) for each in found] == [
        ("tree", "commit"), ("environment", "tensorflow"),
    ]  # fmt: skip
    assert [error.exit_code for error in rerun.problems(found)] == [4, 3]


HOSTILE: Dict[str, Any] = {
    "no JSON": "{",
    "no object": "[]",
    "no plan": {"schema": 2},
    "a job that is a path": {"plan": {"job": "../../etc", "output": "/x"}, "options": {}},
    "options that are none": {"plan": {"job": "phase1", "output": "/x"}, "options": [1]},
    "without options": {"schema": 1, "plan": {"job": "phase1", "output": "/x"}},
    "deep": "[" * 100_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_record_is_refused(tmp_path: Path, name: str) -> None:
    value = HOSTILE[name]
    (tmp_path / "run.json").write_text(value if isinstance(value, str) else json.dumps(value))
    with pytest.raises(UsageProblem, match="record"):
        rerun.load(tmp_path / "run.json")


@pytest.mark.parametrize(
    "options",
    [
        {"python": "/tmp/evil"},
        {"phase": ["1"]},
        {"phase": "1\0"},
        {"cards": {"a": 1}},
        {"phase": "1", "device": "; touch x"},
        {"phase": "1", "cards": 99},
        {"phase": "1", "flags": [["--x"]]},
        {"phase": "1", "flags": "--x"},
    ],
)
def test_options_that_a_user_could_not_give_are_refused(
    tmp_path: Path, options: Dict[str, Any]
) -> None:
    value = {"plan": {"job": "phase1", "output": "/x", "argv": ["touch", "x"]}, "options": options}
    (tmp_path / "run.json").write_text(json.dumps(value))
    assert exit_code_of(command, [str(tmp_path / "run.json")]) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.json"]


def test_a_checkout_that_others_can_write_is_not_run(recorded: rerun.Recorded, repo: Path) -> None:
    assert rerun.untrusted(repo) is None
    repo.chmod(0o777)
    assert exit_code_of(command, [str(recorded.file), "--dry-run"]) == 2


def test_the_old_place_is_never_written_to(recorded: rerun.Recorded) -> None:
    before = sorted(path.name for path in Path(recorded.output).iterdir())
    assert exit_code_of(command, [str(recorded.file), "--output", recorded.output]) == 2
    assert sorted(path.name for path in Path(recorded.output).iterdir()) == before


def test_options_come_back_as_they_were_given() -> None:
    words = ["--phase=2", "--cards=2", "--steps=7", "--max-restarts=1", "--stall-timeout=9.5"]
    flags = ["--save_checkpoints_steps=50"]
    given = train_command.command.make_context("train", [*words, "--", *flags]).params
    kept = as_recorded(given)
    assert json.loads(json.dumps(kept)) == kept
    back = [*as_arguments(kept, train_command.command), "--", *flags]
    again = train_command.command.make_context("train", back).params
    assert as_recorded(again) == kept

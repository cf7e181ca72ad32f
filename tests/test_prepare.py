"""``prepare-repo`` as a user runs it, on the stand-in and on small real repositories."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bertkit.errors import (
    BertkitError,
    EnvironmentUnfit,
    PatchMisfit,
    UpstreamUnavailable,
    UsageProblem,
)
from bertkit.prepare import prepare
from bertkit.upstream.lock import differences, read_lock

from .upstream.repositories import git, upstream

TARGET = "TensorFlow/nlp/bert/data_preprocessing/WikiDownloader.py"


@pytest.fixture(autouse=True)
def a_plain_machine(tmp_path, monkeypatch):
    """No Habana programs, no configuration of the developer's, and a place of our own."""
    for name in ("BERTKIT_UPSTREAM", "BERTKIT_REPO"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def start(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "bertkit", "prepare-repo", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def command(*arguments):
    process = start(*arguments)
    out, err = process.communicate()
    return process.returncode, out, err


def standin(**more):
    return prepare(upstream="standin", destination=Path("tree"), **more)


def content(tree):
    return {
        str(path.relative_to(tree)): path.read_bytes()
        for path in sorted(Path(tree).rglob("*"))
        if path.is_file() and ".git" not in path.relative_to(tree).parts
    }


def modules_after(*arguments):
    """The modules that a run of the command has imported at its end."""
    script = (
        "import sys; from bertkit.cli import bertkit\n"
        "bertkit(sys.argv[1:], standalone_mode=False)\n"
        "print('\\n'.join(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], check=True, capture_output=True, text=True
    )
    return set(done.stderr.split())


# ---------------------------------------------------------------- the way it should go


def test_the_stand_in_becomes_a_patched_checkout_with_a_lock():
    result = standin()
    lock = read_lock(Path("tree"))
    assert result.changed
    assert (lock.url, lock.release, lock.commit) == ("standin", "1.13.0", result.commit)
    assert result.patches == tuple(patch.id for patch in lock.patches)
    assert result.patches
    assert differences(Path("tree"), lock) == []
    assert git("tree", "rev-parse", "HEAD") == lock.commit
    assert git("tree", "branch", "--show-current") == "1.13.0"
    assert git("tree", "remote") == ""
    assert git("tree", "diff", "--name-only") != ""
    assert ".bertkit" not in git("tree", "status", "--porcelain")
    assert lock.tools["git"]


def test_the_stand_in_is_the_same_commit_every_time():
    first = standin()
    second = prepare(upstream="standin", destination=Path("other"))
    assert first.commit == second.commit


def test_the_stand_in_says_what_it_is_and_which_release_it_took():
    notes = " ".join(standin().notes)
    assert "nothing detected" in notes
    assert "not Habana's code" in notes


def test_a_second_run_has_nothing_to_do_and_changes_nothing():
    standin()
    before = content("tree")
    assert standin().changed is False
    assert content("tree") == before


def test_a_run_with_nothing_to_do_imports_nothing_heavy():
    arguments = ("prepare-repo", "--upstream", "standin", "--dest", "tree", "-q")
    standin()
    heavy = {"git", "unidiff", "yaml", "rich", "numpy", "tensorflow"}
    assert modules_after(*arguments) & heavy == set()


def test_the_working_directory_is_recorded_and_kept():
    standin(working_dir=Path("data"))
    expected = str(Path("data").absolute())
    assert read_lock(Path("tree")).working_dir == expected
    assert standin().working_dir == expected
    assert standin(working_dir=Path("/elsewhere")).changed
    assert read_lock(Path("tree")).working_dir == "/elsewhere"


def test_some_patches_now_and_the_rest_later():
    everything = standin().patches
    part = prepare(upstream="standin", destination=Path("part"), only=everything[:1])
    assert part.patches == everything[:1]
    again = prepare(upstream="standin", destination=Path("part"), only=everything[:1])
    assert not again.changed
    assert prepare(upstream="standin", destination=Path("part")).patches == everything


def test_a_patch_that_was_taken_off_comes_back():
    from bertkit.patching import load_series, unapply_series

    patches = standin().patches
    unapply_series(Path("tree"), load_series())
    assert read_lock(Path("tree")).patches == ()
    assert standin().patches == patches


def test_the_destination_is_taken_from_the_environment(monkeypatch):
    monkeypatch.setenv("BERTKIT_REPO", "from-environment")
    assert prepare(upstream="standin").destination == Path("from-environment").absolute()


def test_a_dry_run_writes_nothing_at_all():
    result = standin(dry_run=True)
    assert result.changed
    assert list(Path().iterdir()) == []
    assert standin().commit == result.commit
    before = content("tree")
    assert not standin(dry_run=True).changed
    assert content("tree") == before


def test_json_is_the_whole_answer_on_stdout():
    code, out, _ = command("--upstream", "standin", "--dest", "tree", "--json")
    assert code == 0
    answer = json.loads(out)
    assert answer["release"] == "1.13.0"
    assert answer["changed"] is True


def test_the_report_names_release_upstream_patches_and_the_next_command():
    code, out, err = command("--upstream", "standin", "--dest", "tree")
    assert code == 0, err
    for words in ("prepared", "1.13.0", "standin", "patches", "next: bertkit train"):
        assert words in out


def test_a_moved_head_is_reported_and_its_commit_recorded(tmp_path):
    release = upstream(tmp_path / "up")
    result = prepare(
        synapse_version="1.13.0",
        upstream=str(tmp_path / "up"),
        destination=Path("tree"),
        only=(),
    )
    assert result.commit == release.commit
    assert read_lock(Path("tree")).commit == release.commit
    assert "has moved from 64bc1310065a" in " ".join(result.notes)


# ---------------------------------------------------------------- refusals


def refused(kind, code, **arguments):
    before = sorted(str(path) for path in Path().rglob("*"))
    with pytest.raises(kind) as caught:
        prepare(**arguments)
    assert caught.value.exit_code == code
    assert sorted(str(path) for path in Path().rglob("*")) == before
    return str(caught.value)


def test_without_a_gaudi_and_without_an_option_the_option_is_named():
    code, out, err = command("--dest", "tree")
    assert code == 3
    assert "--synapse-version X.Y.Z" in err
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize(
    ("version", "words"),
    [("1.15.0", "no TensorFlow BERT"), ("1.13.9", "not known"), ("../x", "not the name of")],
)
def test_a_release_that_cannot_be_had_changes_nothing(version, words):
    said = refused(
        UpstreamUnavailable,
        5,
        synapse_version=version,
        destination=Path("tree"),
        upstream="standin",
    )
    assert words in said


def test_a_repository_without_the_files_of_the_patches_leaves_no_checkout(tmp_path):
    upstream(tmp_path / "up")
    with pytest.raises(PatchMisfit) as caught:
        prepare(synapse_version="1.13.0", upstream=str(tmp_path / "up"), destination=Path("tree"))
    assert caught.value.exit_code == 4
    assert not Path("tree").exists()
    assert list(Path().glob(".tree.bertkit-*")) == []


def test_a_directory_with_other_things_in_it_is_left_alone():
    Path("tree").mkdir()
    Path("tree/mine.txt").write_text("mine")
    said = refused(EnvironmentUnfit, 3, destination=Path("tree"), upstream="standin")
    assert "not empty" in said


def test_an_empty_directory_is_taken():
    Path("tree").mkdir()
    assert standin().changed


def test_a_checkout_of_another_release_is_refused_by_both_names():
    standin()
    said = refused(
        EnvironmentUnfit,
        3,
        destination=Path("tree"),
        upstream="standin",
        synapse_version="1.12.0",
    )
    assert "holds release 1.13.0, but 1.12.0 is wanted" in said
    assert "--synapse-version 1.13.0" in said


def test_the_stand_in_is_never_taken_for_the_real_upstream():
    standin()
    said = refused(EnvironmentUnfit, 3, destination=Path("tree"), synapse_version="1.13.0")
    assert "checkout of the stand-in" in said


def test_an_edited_file_is_named_and_kept():
    standin()
    path = Path("tree") / TARGET
    path.write_text(path.read_text() + "# mine\n")
    mine = path.read_text()
    said = refused(PatchMisfit, 4, destination=Path("tree"), upstream="standin")
    assert TARGET in said
    assert path.read_text() == mine


def test_a_file_that_no_patch_touches_may_be_edited():
    standin()
    path = Path("tree/TensorFlow/nlp/bert/modeling.py")
    path.write_text("# mine\n")
    assert not standin().changed
    assert path.read_text() == "# mine\n"


def a_place_without_locks():
    """As a directory of another user's: no lock can be made beside the checkout, nor in it."""
    for path in (Path(".tree.bertkit.lock"), Path("tree/.bertkit/patching.lock")):
        if path.exists():
            path.unlink()
        path.mkdir()


def test_a_prepared_checkout_where_nothing_can_be_written_has_nothing_to_do():
    patches = standin().patches
    a_place_without_locks()
    result = standin()
    assert not result.changed
    assert not result.dry_run
    assert result.patches == patches
    said = refused(
        EnvironmentUnfit, 3, destination=Path("tree"), upstream="standin", working_dir=Path("/x")
    )
    assert "cannot be written" in said


def test_an_edit_in_a_checkout_where_nothing_can_be_written_is_named():
    standin()
    path = Path("tree") / TARGET
    path.write_text(path.read_text() + "# mine\n")
    a_place_without_locks()
    assert TARGET in refused(PatchMisfit, 4, destination=Path("tree"), upstream="standin")


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_patch_that_there_is_not_is_refused_before_anything_is_fetched(dry_run):
    nowhere = f"file://{Path('nowhere').absolute()}"
    wish = {"destination": Path("tree"), "only": ["nope"], "dry_run": dry_run}
    said = refused(UsageProblem, 2, synapse_version="1.13.0", upstream=nowhere, **wish)
    assert "nope" in said
    standin()
    before = content("tree")
    refused(UsageProblem, 2, upstream="standin", working_dir=Path("/x"), **wish)
    assert content("tree") == before


def test_a_damaged_lock_is_refused():
    standin()
    Path("tree/.bertkit/lock.json").write_text("{")
    said = refused(PatchMisfit, 4, destination=Path("tree"), upstream="standin")
    assert "cannot be read" in said


def test_a_place_that_cannot_be_written_is_said_to_be_so():
    Path("file").write_text("x")
    with pytest.raises(BertkitError) as caught:
        prepare(upstream="standin", destination=Path("file/tree"))
    assert caught.value.exit_code == 3


# ---------------------------------------------------------------- kills and crowds


def staged(pattern):
    return lambda: any(Path().glob(pattern))


@pytest.mark.parametrize(
    "moment",
    [
        ".tree.bertkit-*",
        ".tree.bertkit-*/.git",
        ".tree.bertkit-*/TensorFlow",
        ".tree.bertkit-*/.bertkit",
        ".tree.bertkit-*/.bertkit/journal",
        "tree",
        "tree/.bertkit/lock.json",
    ],
)
def test_a_run_after_a_kill_ends_in_a_right_state(moment):
    process = start("--upstream", "standin", "--dest", "tree", "-q")
    reached = staged(moment)
    while process.poll() is None and not reached():
        time.sleep(0.001)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    if Path("tree").exists():
        assert differences(Path("tree"), read_lock(Path("tree"))) == []
    code, _, err = command("--upstream", "standin", "--dest", "tree")
    assert code == 0, err
    assert differences(Path("tree"), read_lock(Path("tree"))) == []
    assert list(Path().glob(".tree.bertkit-*")) == []
    assert not standin().changed


def test_four_at_once_on_one_destination_all_succeed_and_one_works():
    processes = [start("--upstream", "standin", "--dest", "tree", "--json") for _ in range(4)]
    answers = []
    for process in processes:
        out, err = process.communicate()
        assert process.returncode == 0, err
        answers.append(json.loads(out))
    assert sorted(answer["changed"] for answer in answers) == [False, False, False, True]
    assert len({answer["commit"] for answer in answers}) == 1

"""``bertkit patches``: what it prints, and how it ends."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import List

import pytest

from bertkit.cli import bertkit
from bertkit.cli.common import exit_code_of
from bertkit.resources import shipped
from bertkit.upstream.lock import Lock, read_lock, write_lock

WIKI = "TensorFlow/nlp/bert/data_preprocessing/WikiDownloader.py"
# Three of the series; the last two change one file.
PATCHES = ["working-directory", "decompressor", "decompress-once"]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    copy = tmp_path / "checkout"
    shutil.copytree(shipped("standin"), copy)
    write_lock(copy, Lock(url="standin", release="1.13.0", commit="0" * 40))
    return copy


def run(*arguments: object) -> int:
    return exit_code_of(bertkit, ["patches", *(str(argument) for argument in arguments)])


def states_of(tree: Path, capsys: pytest.CaptureFixture[str]) -> List[str]:
    capsys.readouterr()
    assert run("status", "--repo", tree, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    return [patch["state"] for patch in found["patches"] if patch["id"] in PATCHES]


def test_list_names_every_patch_with_what_it_mends(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list") == 0
    text = capsys.readouterr().out
    assert all(name in text for name in PATCHES)
    assert run("list", "--json") == 0
    releases = {each["id"]: each["releases"] for each in json.loads(capsys.readouterr().out)}
    assert releases["decompressor"] == "0.13.0 - 1.14.0"
    assert releases["accumulation-never-zero"] == "1.2.0 - 1.14.0"


def test_apply_status_and_unapply(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert states_of(tree, capsys) == ["applicable"] * 3
    assert run("apply", "--repo", tree) == 0
    assert "decompress-once" in capsys.readouterr().out
    assert states_of(tree, capsys) == ["applied"] * 3
    assert run("unapply", "--repo", tree, "--only", "decompress-once") == 0
    assert states_of(tree, capsys) == ["applied", "applied", "applicable"]
    carried = [patch.id for patch in read_lock(tree).patches]
    assert "decompressor" in carried
    assert "decompress-once" not in carried


def test_the_checkout_may_come_from_the_environment(
    tree: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BERTKIT_REPO", str(tree))
    assert run("status") == 0
    assert f"{tree}: release 1.13.0" in capsys.readouterr().out


def test_a_dry_run_changes_nothing(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("apply", "--repo", tree, "--dry-run") == 0
    assert "would carry" in capsys.readouterr().out
    assert states_of(tree, capsys) == ["applicable"] * 3


def test_check_ends_with_4_and_names_the_edit(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("check", "--repo", tree) == 0
    file = tree / WIKI
    file.write_text(file.read_text(encoding="utf-8").replace("import time\n", ""))
    capsys.readouterr()
    assert run("check", "--repo", tree) == 4
    error = capsys.readouterr().err
    assert "2 patches of the series cannot be applied; nothing was changed" in error
    assert WIKI in error
    assert run("check", "--repo", tree, "--json") == 4
    report = json.loads(capsys.readouterr().out)
    assert {conflict["patch"] for conflict in report["conflicts"]} == {
        "decompressor",
        "decompress-once",
    }


def test_the_table_of_all_releases(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", "--all-releases") == 0
    text = capsys.readouterr().out
    assert "the whole series fits 28 of 28 releases" in text
    assert len([line for line in text.splitlines() if "applicable" in line]) == 28
    assert run("check", "--all-releases", "--json") == 0
    assert len(json.loads(capsys.readouterr().out)["releases"]) == 28


def test_diff_prints_what_git_apply_could_read(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("diff", "--repo", tree, "--only", "working-directory") == 0
    assert capsys.readouterr().out.startswith("diff --git a/TensorFlow/nlp/bert/")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["status", "--repo", "nowhere"], 3, "there is no such checkout"),
        (["status", "--repo", "."], 3, "no lock says which release this is"),
        (["status", "--repo", ".", "--release", "one"], 4, "'one' is not a release"),
        (["apply", "--repo", "TREE", "--only", "nine"], 2, "no such patch: nine"),
        (["apply", "--repo", "TREE", "--release", "1.12.0"], 2, "this checkout is 1.13.0"),
        (["apply", "--no-such-option"], 2, "No such option"),
        (["check", "--all-releases", "--repo", "TREE"], 2, "needs no checkout"),
        (["check", "--mirror", "."], 2, "--mirror goes with --all-releases"),
        (["check", "--all-releases", "--mirror", "."], 3, "no local clone of upstream"),
        (["refresh", "--onto", "1.14.0"], 3, "a local clone of upstream is needed"),
        (["refresh"], 2, "Missing option '--onto'"),
    ],
)
def test_bad_input_ends_with_its_code_and_words(
    tree: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: List[str],
    code: int,
    words: str,
) -> None:
    monkeypatch.chdir(tree.parent)
    assert run(*(str(tree) if each == "TREE" else each for each in arguments)) == code
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("change", ["apply", "unapply"])
def test_a_checkout_that_cannot_be_written_ends_with_3_and_says_so(
    tree: Path, capsys: pytest.CaptureFixture[str], change: str
) -> None:
    if change == "unapply":
        assert run("apply", "--repo", tree) == 0
    lock = tree / ".bertkit" / "patching.lock"
    lock.unlink(missing_ok=True)
    lock.mkdir()  # no lock can be taken, for root neither
    assert run(change, "--repo", tree) == 3
    said = capsys.readouterr().err
    assert "the checkout cannot be written" in said
    assert str(lock) in said

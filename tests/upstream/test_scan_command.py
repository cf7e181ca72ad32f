"""``bertkit upstream scan`` and the tool that makes the catalogue."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from bertkit.cli import bertkit
from bertkit.cli.common import exit_code_of

from .repositories import FILES, git, upstream

TOOL = Path(__file__).resolve().parents[2] / "tools" / "build_catalogue.py"
README = """
| Validated on | SynapseAI Version | TensorFlow Version(s) | Mode |
| Gaudi   | 1.13.0             | 2.9.1         | Training |
| Gaudi2  | 1.13.0             | 2.13.1         | Training |
"""


def test_what_is_new_upstream_is_listed_with_the_next_command(tmp_path, capsys):
    upstream(tmp_path / "up")
    git(tmp_path / "up", "branch", "1.24.0")
    assert exit_code_of(bertkit, ["upstream", "scan", "--upstream", str(tmp_path / "up")]) == 0
    said = capsys.readouterr().out
    assert "moved  1.13.0  64bc1310065a -> " in said
    assert "new    1.24.0" in said
    assert "gone   1.14.0" in said
    assert "build_catalogue.py" in said


def test_a_scan_can_be_read_by_a_program(tmp_path, capsys):
    upstream(tmp_path / "up")
    arguments = ["upstream", "scan", "--upstream", str(tmp_path / "up"), "--json"]
    assert exit_code_of(bertkit, arguments) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["same"] is False
    assert answer["moved"][0]["version"] == "1.13.0"


def test_a_repository_that_cannot_be_asked_ends_with_5(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert exit_code_of(bertkit, ["upstream", "scan", "--upstream", str(tmp_path / "empty")]) == 5
    assert "no upstream repository" in capsys.readouterr().err


def test_the_stand_in_cannot_be_scanned(capsys):
    assert exit_code_of(bertkit, ["upstream", "scan", "--upstream", "standin"]) == 2
    assert "no branches" in capsys.readouterr().err


def test_the_catalogue_is_made_from_what_the_clone_says(tmp_path):
    files = {**FILES, "TensorFlow/nlp/bert/README.md": README}
    release = upstream(tmp_path / "up", files=files)
    git(tmp_path / "up", "branch", "not-a-release")
    done = subprocess.run(
        [sys.executable, str(TOOL), str(tmp_path / "up")],
        check=True,
        capture_output=True,
        text=True,
    )
    made = json.loads(done.stdout)["releases"]
    assert list(made) == ["1.13.0"]
    assert made["1.13.0"]["commit"] == release.commit
    assert made["1.13.0"]["tensorflow"] == ["2.13.1", "2.9.1"]
    assert made["1.13.0"]["python"] == ["3.8", "3.10"]
    assert set(made["1.13.0"]["files"]) == {
        "TensorFlow/common/tb_utils.py",
        "TensorFlow/nlp/bert/run_classifier.py",
        "TensorFlow/nlp/bert/run_pretraining.py",
    }
    for name, blob in release.files.items():
        assert made["1.13.0"]["files"][name] == blob

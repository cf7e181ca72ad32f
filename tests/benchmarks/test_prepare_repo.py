"""The benchmark of prepare-repo runs against any upstream, or says why it cannot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, List

import git
import pytest

from benchmarks import prepare_repo
from benchmarks.__main__ import main
from bertkit.blobs import blob_id
from bertkit.upstream import catalogue, standin


def measured(capsys: pytest.CaptureFixture[str]) -> Any:
    """The one result of a run with --json."""
    assert main(["prepare_repo", "--json"]) == 0
    (result,) = json.loads(capsys.readouterr().out)
    return result


def bytes_of(rows: List[List[str]], way: str) -> int:
    (cell,) = [row[1] for row in rows if row[0].startswith(way)]
    return int(cell.replace(",", ""))


@pytest.fixture
def upstream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A whole repository with the branch, made of the stand-in's files; each thing runs once."""
    monkeypatch.setattr(prepare_repo, "REPEATS", 1)
    monkeypatch.setattr(prepare_repo, "APPLIED", 1)
    repository = tmp_path / "upstream"
    source, _ = standin.build(repository, catalogue.find("1.13.0"))
    monkeypatch.setenv("BERTKIT_UPSTREAM", source.url)
    return repository


def test_each_way_is_measured_in_one_run(
    upstream: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = measured(capsys)["rows"]
    assert [row[0] for row in rows] == [
        "bertkit prepare-repo, all patches",
        "bertkit prepare-repo, again",
        "git clone -b 1.13.0",
        "git clone --depth 1 -b 1.13.0",
        "reading the index of the series",
        rows[-1][0],
    ]
    assert rows[-1][0].startswith("applying all ")
    assert bytes_of(rows, "bertkit prepare-repo, all") > 0
    assert bytes_of(rows, "bertkit prepare-repo, again") == 0
    assert bytes_of(rows, "git clone --depth") > 0


def test_a_mirror_that_lacks_a_file_fails_the_clones_and_its_pack_is_measured(
    upstream: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (upstream / "Other").mkdir()
    (upstream / "Other/huge").write_bytes(b"huge")
    with git.Repo(upstream) as repository:
        with repository.config_writer() as config:
            config.set_value("uploadpack", "allowFilter", "true")
        repository.index.add(["Other/huge"])
        repository.index.commit("A file that mirrors leave out")
    lost = blob_id(b"huge")
    (upstream / ".git/objects" / lost[:2] / lost[2:]).unlink()
    result = measured(capsys)
    clones = [row for row in result["rows"] if row[0].startswith("git clone")]
    assert [row[1] for row in clones] == ["failed", "failed"]
    assert sum("failed: " in note and "fatal:" in note for note in result["notes"]) == 2
    packs = [row for row in result["rows"] if row[0] == "  its pack without 1 missing files"]
    assert len(packs) == 2
    assert bytes_of(result["rows"], "bertkit prepare-repo, all") > 0


def test_without_an_upstream_there_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BERTKIT_UPSTREAM", (tmp_path / "nothing").as_uri())
    result = measured(capsys)
    assert result["rows"] == []
    (note,) = result["notes"]
    assert note.startswith("not run: file://")
    assert main(["prepare_repo"]) == 0
    assert "not run: " in capsys.readouterr().out

"""The benchmark of packing runs with any upstream, or says why it cannot."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.processes import measured
from bertkit.errors import BertkitError


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("psutil")
    monkeypatch.setenv("BERTKIT_BENCH_RECORDS", "400")
    monkeypatch.setenv("BERTKIT_BENCH_TOKENS", "32")
    monkeypatch.setenv("BERTKIT_UPSTREAM", "file:///nowhere/at/all")


def test_packs_are_measured_and_planned_for_lengths_that_are_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lengths = tmp_path / "lengths.csv"
    lengths.write_text("length,sequences\n12,20\n20,20\n32,10\n")
    monkeypatch.setenv("BERTKIT_LENGTHS", str(lengths))
    assert main(["packing", "--json"]) == 0
    (result,) = json.loads(capsys.readouterr().out)
    rows = {row[0].strip(): row[1:] for row in result["rows"]}
    assert rows["bertkit data pack"][0] == "400"
    assert rows["and 10 times as much"][0] == "4,000"
    assert int(rows["in small windows"][3]) > 10
    assert (
        rows["plan for lengths alone, 32 tokens"][4]
        == rows["the bound of the linear program"][4]
        == "30"
    )
    assert any("upstream's packer not run" in note for note in result["notes"])


def test_a_histogram_that_is_none_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BERTKIT_LENGTHS", str(tmp_path / "no"))
    assert main(["packing"]) == 1
    assert "histogram cannot be read" in capsys.readouterr().err


def test_a_command_that_fails_is_no_measurement() -> None:
    with pytest.raises(BertkitError, match="benchmark failed"):
        measured(["false"])

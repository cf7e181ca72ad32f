"""The benchmark of train runs against the stand-in too, and says what it measured."""

from __future__ import annotations

import json

import pytest

from benchmarks import overhead
from benchmarks.__main__ import main


@pytest.mark.tensorflow
def test_both_ways_are_measured_in_turns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("horovod")
    monkeypatch.setenv("BERTKIT_UPSTREAM", "standin")
    for name, few in (("STEPS", 2), ("PAIRS", 1), ("DRY_RUNS", 1)):
        monkeypatch.setattr(overhead, name, few)
    assert main(["overhead", "--json"]) == 0
    (result,) = json.loads(capsys.readouterr().out)
    ways = {row[0].strip(): row[1:] for row in result["rows"]}
    assert list(ways) == [
        "the bare line", "bertkit train", "more, pair by pair", "bertkit train --dry-run",
    ]  # fmt: skip
    difference = float(ways["bertkit train"][0]) - float(ways["the bare line"][0])
    assert float(ways["more, pair by pair"][0]) == pytest.approx(difference, abs=0.02)

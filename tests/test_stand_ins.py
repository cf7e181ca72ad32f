"""What a CPU run puts in the place of Habana's package and of dllogger."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any, Iterator

import pytest

from bertkit.resources import shipped


@pytest.fixture
def helpers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(str(shipped("launchers") / "cpu"))
    for name in ("OMPI_COMM_WORLD", "HOROVOD"):
        for what in ("RANK", "SIZE", "LOCAL_RANK", "LOCAL_SIZE"):
            monkeypatch.delenv(f"{name}_{what}", raising=False)
    yield importlib.import_module("habana_frameworks.tensorflow.multinode_helpers")
    for name in [name for name in sys.modules if name.startswith("habana_frameworks")]:
        del sys.modules[name]


def test_alone_a_rank_is_0_of_1(helpers: Any) -> None:
    assert (helpers.comm_rank(), helpers.comm_size()) == (0, 1)
    assert (helpers.comm_local_rank(), helpers.comm_local_size()) == (0, 1)
    assert helpers.comm_local_rank(check_available=True) is None


def test_open_mpis_variables_count_before_horovods(
    helpers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOROVOD_LOCAL_RANK", "5")
    assert helpers.comm_local_rank() == 5
    monkeypatch.setenv("OMPI_COMM_WORLD_LOCAL_RANK", "3")
    assert helpers.comm_local_rank() == 3


def test_loading_the_device_says_that_this_is_a_cpu_run(
    helpers: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    tensorflow = importlib.import_module("habana_frameworks.tensorflow")
    tensorflow.load_habana_module()
    assert "CPU run" in capsys.readouterr().out


def test_dlloggers_replacement_writes_the_lines_that_are_read_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(shipped("launchers") / "dllogger"))
    monkeypatch.delitem(sys.modules, "dllogger", raising=False)
    dllogger = importlib.import_module("dllogger")
    path = tmp_path / "log.json"
    logger = dllogger.Logger(
        [
            dllogger.StdOutBackend(
                dllogger.Verbosity.DEFAULT, step_format=lambda step: f"<{step}>"
            ),
            dllogger.JSONStreamBackend(dllogger.Verbosity.VERBOSE, str(path)),
        ]
    )
    logger.metadata("loss", {"format": ":.2f", "unit": "nats"})
    logger.log(step=3, data={"loss": 1.23456}, verbosity=dllogger.Verbosity.DEFAULT)
    logger.log(step=4, data={"loss": 1.0}, verbosity=dllogger.Verbosity.VERBOSE)

    records = [json.loads(line[len("DLLL ") :]) for line in path.read_text().splitlines()]
    assert [record["type"] for record in records] == ["METADATA", "LOG", "LOG"]
    assert (records[1]["step"], records[1]["data"]) == (3, {"loss": 1.23456})
    shown = capsys.readouterr().out
    assert "<3> loss : 1.23 nats" in shown
    assert "<4>" not in shown  # more detail than the terminal wants
    monkeypatch.delitem(sys.modules, "dllogger")

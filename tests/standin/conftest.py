"""One short pre-training run that several tests look at."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from tests.standin import records
from tests.standin.runner import Bench


class Pretrained(NamedTuple):
    bench: Bench
    data: Path
    output: Path
    text: str


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    pytest.importorskip("tensorflow")
    return Bench(tmp_path_factory.mktemp("standin"))


@pytest.fixture(scope="session")
def pretrained(bench: Bench) -> Pretrained:
    """12 updates of one rank, with a checkpoint every 4."""
    data = records.write_directory(bench.home / "unpacked", length=32, predictions=5)
    output = bench.home / "phase1"
    flags = ("--num_train_steps=12", "--save_checkpoints_steps=4")
    result = bench.pretrain(data, output, *flags)
    assert result.returncode == 0, result.stdout[-4000:]
    return Pretrained(bench, data, output, result.stdout)

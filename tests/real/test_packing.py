"""Packs of real upstream 1.13.0 and of bertkit have the same sequences and metadata."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict

import pytest

pytestmark = [pytest.mark.real, pytest.mark.tensorflow]

PACKER = "Model-References/TensorFlow/nlp/bert/data_preprocessing/pack_pretraining_data_tfrec.py"


@pytest.fixture(scope="module")
def work(workplace: Path) -> Path:
    """A checkout of upstream 1.13.0 and the sample data, whose records of 128 tokens are packed."""
    bertkit(workplace, "data", "pack", "--data", "data", "--phase", "1", "--ranks", "2")
    return workplace


def bertkit(directory: Path, *arguments: str) -> Dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "bertkit", *arguments, "--json"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=directory,
    )
    result: Dict[str, Any] = json.loads(done.stdout)
    return result


def test_upstreams_own_packer_makes_packs_of_the_same_sequences(
    work: Path, upstream_url: str
) -> None:
    records = "data/tfrecord/seq_len_128/wikicorpus_en/training"
    ours = bertkit(work, "data", "pack", "--data", "data", "--phase", "1", "--ranks", "2")
    theirs = bertkit(
        work, "data", "pack", records, "--output", "theirs/training", "--engine", "upstream"
    )
    assert ours["state"] == "was there"
    assert theirs["sequences"] == ours["sequences"]
    assert ours["least_packs"] <= ours["packs"] <= theirs["packs"]
    (checked,) = bertkit(work, "data", "verify", "theirs/training", "--source", records)[
        "directories"
    ]
    assert checked["sequences"] == ours["sequences"]
    told = [
        json.loads((work / place / "training_metadata.json").read_text())
        for place in ("theirs", "data/tfrecord_packed/seq_len_128/wikicorpus_en")
    ]
    assert set(told[0]) == set(told[1])


def test_strategies_are_numbered_as_upstream_numbers_them(work: Path, upstream_url: str) -> None:
    from bertkit.data.packing.metadata import as_upstream_lists

    listed = runpy.run_path(str(work / PACKER))["packing_strategies"](0, 1, 128, 3)
    assert [tuple(slots) for slots in listed] == as_upstream_lists(128)

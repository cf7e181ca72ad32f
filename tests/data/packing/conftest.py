"""Records to be packed: short ones, so that the linear program is small."""

import random

import pytest

from bertkit.data.records.tfrecord import write_records
from tests.data.packing.records import PREDICTIONS, TOKENS, record


@pytest.fixture
def source(tmp_path):
    """A directory with 900 records in three files."""
    directory = tmp_path / "records" / "training"
    fill(directory, 3, 300)
    return directory


def fill(directory, files, each, tokens=TOKENS, predictions=PREDICTIONS):
    directory.mkdir(parents=True)
    rng = random.Random(1)
    for number in range(files):
        lengths = [min(tokens, 5 + int(rng.expovariate(4 / tokens))) for _ in range(each)]
        write_records(
            directory / f"{number}.tfrecord",
            [record(length, rng, tokens, predictions) for length in lengths],
        )

"""The patched download of MRPC: the right addresses, and a failure that shows."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Iterator

import pytest

from bertkit.patching import apply_series, load_series
from bertkit.resources import shipped
from tests.patching import glue
from tests.servers import Server, serving


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(glue.files()) as running:
        yield running


@pytest.fixture
def download(tmp_path: Path, server: Server) -> Path:
    """The stand-in's ``download`` with the patch, led to the local server."""
    tree = tmp_path / "tree"
    shutil.copytree(shipped("standin"), tree)
    apply_series(tree, "1.13.0", load_series(), only=["glue-addresses"])
    directory = tree / "TensorFlow/nlp/bert/download"
    glue.lead_to(server.url, directory)
    return directory


def test_all_addresses_of_upstream_lead_to_the_host_that_has_the_data() -> None:
    for diff in (load_series().directory / "glue-addresses").glob("*glue_data*.diff"):
        new = "".join(line for line in diff.read_text().splitlines(True) if line[0] != "-")
        assert set(re.findall(r"https?://([^/']+)", new)) == {"dl.fbaipublicfiles.com"}


def test_mrpc_is_downloaded_and_dealt_out_by_the_dev_ids(download: Path, tmp_path: Path) -> None:
    result = glue.run(download, tmp_path / "data")
    assert result.returncode == 0, result.stderr
    made = tmp_path / "data/MRPC"
    assert glue.ids(made / "dev.tsv") == ["2", "5", "7"]
    assert glue.ids(made / "train.tsv") == ["0", "1", "3", "4", "6", "8", "9"]
    assert glue.ids(made / "test.tsv") == ["0", "1", "2", "3"]


def test_a_download_that_fails_says_so_and_the_next_try_is_a_new_one(
    download: Path, server: Server, tmp_path: Path
) -> None:
    dev_ids = server.files.pop(glue.DEV_IDS)
    for _ in range(2):
        result = glue.run(download, tmp_path / "data")
        assert result.returncode == 1
        assert "403" in result.stderr
        assert "download_glue_data.py failed with exit code 1" in result.stderr
    server.files[glue.DEV_IDS] = dev_ids
    assert glue.run(download, tmp_path / "data").returncode == 0
    assert glue.ids(tmp_path / "data/MRPC/dev.tsv") == ["2", "5", "7"]


def test_an_empty_directory_is_not_taken_for_the_data(download: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    assert glue.run(download, tmp_path / "data").returncode == 0
    assert (tmp_path / "data/MRPC/dev.tsv").is_file()


@pytest.mark.parametrize("place", ["dev.tsv", "MRPC/dev.tsv"])
def test_what_is_there_is_not_downloaded_again(
    download: Path, server: Server, tmp_path: Path, place: str
) -> None:
    file = tmp_path / "data" / place
    file.parent.mkdir(parents=True)
    file.write_text("mine")
    assert glue.run(download, tmp_path / "data").returncode == 0
    assert server.requests == []
    assert file.read_text() == "mine"

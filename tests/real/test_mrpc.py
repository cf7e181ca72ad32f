"""MRPC split by GLUE's own script, as upstream carries it, and by bertkit: the same bytes."""

import subprocess
import sys

import pytest

from bertkit.data.published.mrpc import split_as_glue
from tests.data.published.conftest import mrpc_files

pytestmark = pytest.mark.real

DRIVER = """
import download_glue_data as glue, sys
train, test, ids, output = sys.argv[1:]
glue.MRPC_TRAIN, glue.MRPC_TEST, glue.TASK2PATH["MRPC"] = train, test, ids
glue.format_mrpc(output, "")
"""


def test_the_split_is_that_of_glues_script_to_the_byte(mirror, tmp_path):
    script = subprocess.run(
        ["git", "-C", str(mirror), "show",
         "1.13.0:TensorFlow/nlp/bert/download/download_glue_data.py"],
        stdout=subprocess.PIPE, check=True,
    ).stdout  # fmt: skip
    (tmp_path / "download_glue_data.py").write_bytes(script)
    files = {}
    for name, content in mrpc_files().items():
        files[name] = tmp_path / name.replace(" ", "-")
        files[name].write_bytes(content)
    (tmp_path / "theirs").mkdir()
    addresses = [files[name].as_uri() for name in ("train", "test", "dev ids")]
    subprocess.run(
        [sys.executable, "-c", DRIVER, *addresses, str(tmp_path / "theirs")],
        cwd=tmp_path, check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    split_as_glue(files, tmp_path / "ours")
    for name in ("train.tsv", "dev.tsv", "test.tsv"):
        ours = (tmp_path / "ours" / name).read_bytes()
        assert ours == (tmp_path / "theirs" / "MRPC" / name).read_bytes(), name

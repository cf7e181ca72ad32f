"""Where upstream's packer fails or loses something, that is said; here a script of its kind."""

import subprocess
import sys
import time
from importlib.util import find_spec

import pytest

from bertkit.data.packing.metadata import metadata_path
from bertkit.data.packing.packer import Request
from bertkit.data.packing.stage import pack
from bertkit.data.packing.upstream import UpstreamPacker
from bertkit.errors import BertkitError, EnvironmentUnfit
from tests.data.packing.test_bad_input import start
from tests.data.stages.test_workers import is_running

# It has upstream's options and writes what upstream writes where upstream does; bertkit packs.
SCRIPT = """
import argparse
from pathlib import Path
from bertkit.data.packing.packer import Request
from bertkit.data.packing.stage import pack
from bertkit.data.records.tfrecord import read_records, write_records

parser = argparse.ArgumentParser()
for name in ("input-glob", "output-dir", "max-files", "max-sequence-length",
             "max-predictions-per-sequence"):
    parser.add_argument("--" + name, required=True)
args = parser.parse_args()
output = Path(args.output_dir)
aside = output.parent / "aside" / "result"
pack(Request(Path(args.input_glob), aside, ranks=2, workers=1))
{change}
aside.rename(output)
aside.with_name("result_metadata.json").rename(output.with_name("result_metadata.json"))
"""
LOSE = """
first = sorted(aside.iterdir())[0]
contents = list(read_records(first))
write_records(first, contents[1:])
"""


@pytest.fixture
def repo(tmp_path):
    if find_spec("tensorflow") is None:
        pytest.skip("no TensorFlow, which upstream's packer needs")

    def write(change=""):
        root = tmp_path / "repo"
        place = root / "TensorFlow/nlp/bert/data_preprocessing"
        place.mkdir(parents=True, exist_ok=True)
        script = place / "pack_pretraining_data_tfrec.py"
        script.write_text(SCRIPT.replace("{change}", change))
        return root

    return write


def test_its_packs_come_into_the_same_places(source, tmp_path, repo):
    output = tmp_path / "packs" / "training"
    done = pack(Request(source, output, workers=1), packer=UpstreamPacker(repo()))
    assert (done.state, done.counts["sequences"]) == ("made", 900)
    assert metadata_path(output).is_file()
    again = pack(Request(source, output, workers=1), packer=UpstreamPacker(repo()))
    assert again.state == "was there"
    other = pack(Request(source, output, workers=1), packer=UpstreamPacker(repo("# changed")))
    assert other.state == "made"


@pytest.mark.parametrize(
    ("change", "reason"),
    [(LOSE, "lost or changed sequences"), ("raise SystemExit('no memory')", "no memory")],
    ids=["a record less", "an error"],
)
def test_what_it_loses_is_noticed(source, tmp_path, repo, change, reason):
    output = tmp_path / "packs" / "training"
    with pytest.raises(BertkitError, match=reason):
        pack(Request(source, output, workers=1), packer=UpstreamPacker(repo(change)))
    assert not output.exists()
    assert not metadata_path(output).exists()


WORKERS = """
import os, sys, time
child = os.fork()
if child:
    Path(sys.argv[0] + ".pids").write_text(f"{os.getpid()} {child} ready")
time.sleep(600)
"""


def test_its_processes_end_with_bertkit(source, tmp_path, repo):
    root = repo(WORKERS)
    told = next(root.rglob("*.py")).with_name("pack_pretraining_data_tfrec.py.pids")
    running = start(source, tmp_path / "packs" / "training", "--engine", "upstream",
                    "--repo", str(root))  # fmt: skip
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not (told.exists() and "ready" in told.read_text()):
        assert running.poll() is None
        time.sleep(0.01)
    script, worker, _ = told.read_text().split()
    running.kill()
    running.communicate()
    while time.monotonic() < deadline and (is_running(script) or is_running(worker)):
        time.sleep(0.01)
    assert not is_running(script)
    assert not is_running(worker)


def test_a_checkout_without_it_is_named(tmp_path):
    with pytest.raises(EnvironmentUnfit, match="not there"):
        UpstreamPacker(tmp_path)
    command = [sys.executable, "-m", "bertkit", "data", "pack", str(tmp_path), "--output",
               str(tmp_path / "out"), "--engine", "upstream", "--repo", "none"]  # fmt: skip
    assert subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode == 3

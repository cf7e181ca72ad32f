"""The patched data scripts of all 28 real releases at work, with small programs in the place of
those that need a network, hours or TensorFlow.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

import pytest

from bertkit.patching import apply_series
from bertkit.patching.releases import parse_release
from tests.patching import glue
from tests.real.test_patches import SERIES, Checkout, checkout, every_release
from tests.servers import serving

__all__ = ["checkout"]  # a fixture

pytestmark = pytest.mark.real

# A shard takes a moment, so that workers overlap; one may fail, and all say when they are done.
WORKER = """
import os, pathlib, sys, time
options = dict(a[2:].partition("=")[::2] for a in sys.argv[1:])
home = pathlib.Path(os.environ["LOG"])
name = pathlib.Path(options["output_file"]).stem
running = home / (name + ".running")
running.touch()
(home / (name + ".seen")).write_text(str(len(list(home.glob("*.running")))))
if name == os.environ.get("FAILING"):
    running.unlink()
    os.kill(os.getpid(), 9)  # as the kernel does when there is no memory left
time.sleep(0.05)
running.unlink()
pathlib.Path(options["output_file"]).write_text("records")
"""
NLTK = "def download(name):\n    pass\n"
# The lines of the pinned WikiExtractor that today's Python does not read.
WIKI_EXTRACTOR = r"""import cgi
import re
wgUrlProtocols = ['http://']
EXT_LINK_URL_CLASS = r'[^][<>"\x00-\x20\x7F\s]'
ANCHOR_CLASS = r'[^][\x00-\x08\x0a-\x1F]'
ExtLinkBracketedRegex = re.compile(
    '\\[(((?i)' + '|'.join(wgUrlProtocols) + ')' + EXT_LINK_URL_CLASS + r'+)' +
    r'\s*((?:' + ANCHOR_CLASS + r'|\[\[' + ANCHOR_CLASS + r'+\]\])' + r'*?)\]',
    re.S | re.U)
EXT_IMAGE_REGEX = re.compile(
    r'''^(http://|https://)([^][<>"\x00-\x20\x7F\s]+)
    /([A-Za-z0-9_.,~%\-+&;#*?!=()@\x80-\xFF]+)\.((?i)gif|png|jpg|jpeg)$''',
    re.X | re.S | re.U)
assert ExtLinkBracketedRegex.match('[HTTP://x.y text]')
assert EXT_IMAGE_REGEX.match('http://x.y/z.PNG')
"""


def directory(checkout: Checkout) -> Path:
    bert = checkout.tree / "TensorFlow/nlp/bert"
    return bert / ("data" if checkout.release == "0.13.0" else "data_preprocessing")


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return path


class Preparation:
    """bertPrep.py of one release, told to make records of 9 shards with 3 processes."""

    def __init__(self, checkout: Checkout) -> None:
        self.scripts = directory(checkout)
        self.log = checkout.tree / "log"
        self.log.mkdir()
        # Up to 1.3.0 bertPrep.py looks for it in the working directory, then beside itself.
        self.data = self.scripts if parse_release(checkout.release) < (1, 4, 0) else self.log
        (self.scripts / "create_pretraining_data.py").write_text(WORKER)
        (self.log / "nltk.py").write_text(NLTK)
        for name in ("python", "python3"):
            program(self.log / "bin" / name, f'#!/bin/sh\nexec {sys.executable} "$@"\n')

    def run(self, failing: str = "") -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "PATH": f"{self.log / 'bin'}:{os.environ['PATH']}",
            "PYTHONPATH": str(self.log),
            "BERT_PREP_WORKING_DIR": str(self.data),
            "LOG": str(self.log),
            "FAILING": failing,
        }
        flags = "--n_training_shards 6 --n_test_shards 3 --n_processes 3 --vocab_file none"
        return subprocess.run(
            [sys.executable, "bertPrep.py", "--action", "create_tfrecord_files",
             "--dataset", "wikicorpus_en", *flags.split()],
            cwd=self.scripts, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def shards(self) -> List[str]:
        return sorted(path.stem for path in (self.data / "tfrecord").rglob("*.tfrecord"))


ALL_SHARDS = sorted(
    f"wikicorpus_en_{split}_{n}" for split, count in (("training", 6), ("test", 3))
    for n in range(count)
)  # fmt: skip


@every_release
def test_bert_prep_makes_every_shard_with_at_most_so_many_processes(checkout: Checkout) -> None:
    apply_series(checkout.tree, checkout.release, SERIES)
    preparation = Preparation(checkout)
    result = preparation.run()
    assert result.returncode == 0, result.stderr
    assert preparation.shards() == ALL_SHARDS
    at_once = [int(path.read_text()) for path in preparation.log.glob("*.seen")]
    assert len(at_once) == 9
    assert max(at_once) <= 3


@every_release
def test_bert_prep_names_the_shard_that_failed_and_leaves_nobody_running(
    checkout: Checkout,
) -> None:
    apply_series(checkout.tree, checkout.release, SERIES)
    preparation = Preparation(checkout)
    failing = "wikicorpus_en_training_1"
    result = preparation.run(failing)
    assert result.returncode == 1
    # The shell in between may say it as 128 + 9.
    said = rf"create_pretraining_data\.py failed for {failing} \(exit code (-9|137)\)\n$"
    assert re.search(said, result.stderr)
    assert not list(preparation.log.glob("*.running"))
    started = {path.stem for path in preparation.log.glob("*.seen")}
    assert set(preparation.shards()) == started - {failing}
    assert "wikicorpus_en_test_2" not in started


class Script:
    """create_datasets_from_start.sh with git and Python replaced; see what they were asked for."""

    def __init__(self, checkout: Checkout) -> None:
        self.directory = directory(checkout)
        self.data = checkout.tree / "corpus"
        self.programs = checkout.tree / "bin"
        self.called = checkout.tree / "called"
        source = checkout.tree / "WikiExtractor.py"
        source.write_text(WIKI_EXTRACTOR)
        program(
            self.programs / "git",
            f'#!/bin/sh\necho "git $*" >> "{self.called}"\n'
            f'[ "$1" = clone ] || exit 0\nmkdir -p "$3" && cp "{source}" "$3" '
            f'&& [ "$FAILING" != clone ]\n',
        )
        program(
            self.programs / "python3",
            f'#!/bin/sh\necho "$3 $5" >> "{self.called}"\n[ "$3" != "$FAILING" ]\n',
        )

    def run(
        self, *arguments: str, failing: str = "", home: Optional[Path] = None
    ) -> Tuple[int, List[str]]:
        """The exit code, and what was called; PYTHON is not set."""
        self.called.write_text("")
        environment: Dict[str, str] = {"PATH": f"{self.programs}:/usr/bin:/bin"}
        environment.update(FAILING=failing, BERT_PREP_WORKING_DIR=str(home or self.data))
        result = subprocess.run(
            ["bash", "create_datasets_from_start.sh", *arguments],
            cwd=self.directory, env=environment, stdout=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        return result.returncode, self.called.read_text().splitlines()

    def extractor(self) -> Path:
        (found,) = [path for root in (self.directory, self.data)
                    for path in root.glob("wikiextractor/WikiExtractor.py")]  # fmt: skip
        return found


STEPS = [
    "download wikicorpus_en",
    "download google_pretrained_weights",
    "text_formatting wikicorpus_en",
    "sharding wikicorpus_en",
    "create_tfrecord_files wikicorpus_en",
    "create_tfrecord_files wikicorpus_en",
]
WITH_BOOKS = [
    "download bookscorpus",
    *STEPS[:2],
    "text_formatting bookscorpus",
    STEPS[2],
    *["sharding books_wiki_en_corpus"],
    *["create_tfrecord_files books_wiki_en_corpus"] * 2,
]


def steps(called: Sequence[str]) -> List[str]:
    return [line for line in called if not line.startswith("git ")]


@every_release
def test_the_data_script_runs_twice_and_clones_once(checkout: Checkout) -> None:
    apply_series(checkout.tree, checkout.release, SERIES)
    script = Script(checkout)
    code, called = script.run()
    assert (code, steps(called)) == (0, STEPS)
    assert sum(line.startswith("git clone") for line in called) == 1
    # It imports on the Python of these tests, and is as good after the second run.
    changed = script.extractor().read_bytes()
    subprocess.run([sys.executable, "-W", "error", str(script.extractor())], check=True)
    code, called = script.run()
    assert (code, steps(called)) == (0, STEPS)
    assert not any(line.startswith("git clone") for line in called)
    assert script.extractor().read_bytes() == changed


@every_release
def test_the_data_script_knows_the_books(checkout: Checkout) -> None:
    apply_series(checkout.tree, checkout.release, SERIES)
    code, called = Script(checkout).run("wiki_books")
    assert (code, steps(called)) == (0, WITH_BOOKS)


@every_release
def test_the_data_script_ends_with_the_step_that_fails(checkout: Checkout) -> None:
    apply_series(checkout.tree, checkout.release, SERIES)
    script = Script(checkout)
    code, called = script.run(failing="clone")
    assert (code, steps(called)) == (1, [])
    # What the cut-off clone left is not taken for a clone.
    code, called = script.run(failing="sharding")
    assert (code, steps(called)) == (1, STEPS[:4])
    assert sum(line.startswith("git clone") for line in called) == 1


@every_release
def test_the_data_script_alone_does_the_same(checkout: Checkout) -> None:
    """Without working-directory the clones lie beside the script."""
    apply_series(checkout.tree, checkout.release, SERIES, only=["strict-data-script"])
    script = Script(checkout)
    code, called = script.run(failing="text_formatting")
    assert (code, steps(called)) == (1, STEPS[:3])
    assert script.extractor().parent.parent == script.directory
    assert script.run()[0] == 0


@every_release
def test_mrpc_is_downloaded_and_a_failure_is_not_kept(checkout: Checkout) -> None:
    apply_series(checkout.tree, checkout.release, SERIES)
    download = checkout.tree / "TensorFlow/nlp/bert/download"
    # What download_dataset.py of the older releases imports, which is no part of BERT.
    for package in ("central", "TensorFlow/common"):
        helper = checkout.tree / "helpers" / package / "habana_model_runner_utils.py"
        helper.parent.mkdir(parents=True)
        helper.write_text("from pathlib import Path as get_canonical_path\n")
    search = str(checkout.tree / "helpers")
    target = checkout.tree / "glue/MRPC"
    files = glue.files()
    dev_ids = files.pop(glue.DEV_IDS)
    with serving(files) as server:
        glue.lead_to(server.url, download)
        failed = glue.run(download, target, search)
        assert failed.returncode == 1
        assert "403" in failed.stderr
        server.files[glue.DEV_IDS] = dev_ids
        done = glue.run(download, target, search)
        assert done.returncode == 0, done.stderr
        asked = len(server.requests)
        assert glue.run(download, target, search).returncode == 0
        assert len(server.requests) == asked
    (dev,) = (checkout.tree / "glue").rglob("dev.tsv")
    assert glue.ids(dev) == ["2", "5", "7"]

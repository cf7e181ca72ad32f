"""Text by upstream's script: what is lacking is named, what it loses is noticed.

The script here has upstream's options and places; real upstream is run in tests/real/test_wiki.py.
"""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from bertkit.data.layout import DataLayout
from bertkit.data.stages.shares import Share
from bertkit.data.wiki import Text, Wanted, look_at_wiki, make_wiki
from bertkit.data.wikipedia.upstream import UpstreamText
from bertkit.data.wikipedia.verify import verify_text
from bertkit.errors import BertkitError, EnvironmentUnfit
from bertkit.files import sha256_of

from ..conftest import bytes_below
from ..dumps import page, prose, write_multistream
from ..punkt import write_punkt
from ..stages.test_workers import is_running

nltk = pytest.importorskip("nltk")

PAGES = [page(number, prose(number)) for number in range(1, 25)]

# Articles are cut at full stops; each goes to the next file.
SCRIPT = """
import argparse, glob, os, subprocess, sys
from pathlib import Path
parser = argparse.ArgumentParser()
for name in ("action", "dataset"):
    parser.add_argument("--" + name)
for name in ("n_training_shards", "n_test_shards", "n_processes", "skip_wikiextractor"):
    parser.add_argument("--" + name, type=int, default=0)
parser.add_argument("--fraction_test_set", type=float)
args = parser.parse_args()
home = Path(os.environ["BERT_PREP_WORKING_DIR"])
formatted = home / "formatted_one_article_per_line" / (args.dataset + "_one_article_per_line.txt")
extracted = home / "extracted" / args.dataset
{before}
if args.action == "text_formatting":
    formatted.parent.mkdir()
    if not args.skip_wikiextractor:
        xml = home / "download" / args.dataset / (args.dataset + ".xml")
        program = os.getcwd() + "/wikiextractor/WikiExtractor.py"
        subprocess.run(f"{sys.executable} {program} {xml} {extracted}", shell=True, check=True)
    with formatted.open("w") as lines:
        for name in glob.glob(f"{extracted}/*/wiki_*"):
            for doc in Path(name).read_text().split("</doc>\\n")[:-1]:
                lines.write(" ".join(filter(None, doc.split("\\n")[2:])) + " \\n\\n")
else:
    files = [("training", n) for n in range(args.n_training_shards)]
    files += [("test", n) for n in range(args.n_test_shards)]
    articles = [line.strip() for line in formatted.open() if line.strip()]
    for number, (split, n) in enumerate(files):
        path = home / "sharded" / args.dataset / split / f"{args.dataset}_{split}_{n}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        mine = articles[number + {skipped} :: len(files)]
        path.write_text("".join(text.replace(". ", ".\\n") + "\\n\\n" for text in mine))
"""
# Gives a page without text too, as WikiExtractor does.
EXTRACTOR = """
import sys
from pathlib import Path
from xml.etree import ElementTree
if "--help" not in sys.argv:
    place = Path(sys.argv[2]) / "AA"
    place.mkdir(parents=True)
    with (place / "wiki_00").open("w") as out:
        for page in ElementTree.parse(sys.argv[1]).iter("page"):
            title, text = page.findtext("title"), page.findtext("revision/text")
            out.write(f'<doc id="1">\\n{title}\\n\\n{text}\\n</doc>\\n')
        out.write('<doc id="2">\\nA page without text\\n\\n</doc>\\n')
"""


@pytest.fixture
def repo(tmp_path):
    """Writes a checkout: what the script does at first, and how many articles it skips."""

    def write(before="", skipped=0, extractor=EXTRACTOR):
        place = tmp_path / "repo/TensorFlow/nlp/bert/data_preprocessing"
        (place / "wikiextractor").mkdir(parents=True, exist_ok=True)
        text = SCRIPT.replace("{before}", before).replace("{skipped}", str(skipped))
        (place / "bertPrep.py").write_text(text)
        for name in ("WikicorpusTextFormatting.py", "TextSharding.py"):
            (place / name).write_text("# part of the script above\n")
        if extractor:
            (place / "wikiextractor/WikiExtractor.py").write_text(extractor)
        return tmp_path / "repo"

    return write


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """A directory for NLTK_DATA."""
    directory = tmp_path_factory.mktemp("nltk_data")
    write_punkt(" ".join(map(prose, range(20))), directory)
    return directory


@pytest.fixture
def layout(tmp_path):
    return DataLayout(tmp_path / "data")


@pytest.fixture
def dump(tmp_path):
    dump = write_multistream(tmp_path, PAGES)
    return Text(dump, None, sha256_of(dump))


@pytest.fixture
def wiki(tmp_path, layout, model, monkeypatch):
    """Does the stages up to the sentences; gives their states."""
    monkeypatch.setattr(nltk.data, "path", [str(model)])

    def run(start="extract", dump=None, engine="upstream", dry=False):
        repo = tmp_path / "repo" if engine == "upstream" else None
        wanted = Wanted("shard", 1, 0.2, 2, 1, True, False, None, repo, start)
        if dry:
            done = look_at_wiki(layout, dump, wanted)
        else:
            done = make_wiki(layout, dump, wanted, 1, Share())
        return {each.stage: each.state for each in done}

    return run


def test_text_comes_into_the_same_places_and_each_engine_goes_on_from_the_other(
    layout, repo, wiki, dump
):
    repo()
    names = ["extracted", "articles", "sentences"]
    assert wiki(dump=dump, dry=True) == dict.fromkeys(names, "would be made")
    assert not layout.root.exists()
    assert wiki(dump=dump) == dict.fromkeys(names, "made")
    assert wiki(dump=dump) == dict.fromkeys(names, "was there")
    assert [each.compared_with for each in verify_text(layout.root, 1)] == ["manifest"] * 3
    theirs = layout.formatted.read_text()
    assert wiki("format", engine="native") == dict.fromkeys(names[1:], "made")
    assert layout.formatted.read_text() == theirs.replace(" \n", "\n")[: -len("\n\n")]
    assert wiki("shard") == {"sentences": "made"}
    files = [layout.shard_name(split, 0) for split in ("test", "training")]
    assert list(bytes_below(layout.sharded)) == files
    repo(before="# another release")
    assert wiki("shard", dry=True) == {"sentences": "would be made"}
    assert set(wiki(dump=dump, engine="native").values()) == {"made"}


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        ({"skipped": 1}, "lost articles"),
        ({"before": "sys.exit('no memory')"}, "no memory"),
    ],
    ids=["an article less", "an error"],
)
def test_what_it_loses_is_noticed(layout, repo, wiki, harm, words):
    layout.formatted.parent.mkdir(parents=True)
    layout.formatted.write_text("".join(prose(number) + "\n\n" for number in range(9)))
    repo(**harm)
    with pytest.raises(BertkitError) as caught:
        wiki("shard")
    assert words in str(caught.value)
    assert not layout.sharded.exists()
    assert not layout.manifest(layout.sharded).exists()


WAIT = """
if args.action == "text_formatting":
    sleeping = "echo $$ > " + str(home / "pid") + "; exec sleep 600"
    subprocess.run(sleeping, shell=True)
"""


def test_it_ends_with_bertkit_and_the_next_run_is_whole(layout, repo, wiki, model, dump):
    command = [
        sys.executable, "-m", "bertkit", "data", "wiki", "--data", str(layout.root), "--dump",
        str(dump.dump), "--until", "shard", "--engine", "upstream", "--repo", str(repo(WAIT)),
    ]  # fmt: skip
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**os.environ, "NLTK_DATA": str(model)},
    )  # fmt: skip
    told = layout.staging / "extracted/upstream/pid"
    deadline = time.monotonic() + 120
    while not (told.exists() and told.read_text()):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    child = told.read_text().strip()
    process.send_signal(signal.SIGKILL)
    process.wait()
    while is_running(child):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    repo()
    assert set(wiki(dump=dump).values()) == {"made"}
    assert not list(layout.staging.rglob("upstream"))


def test_a_model_of_nltk_that_is_not_there_is_named(tmp_path, repo, monkeypatch):
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])
    with pytest.raises(EnvironmentUnfit, match="NLTK's model punkt") as caught:
        UpstreamText(repo(), DataLayout(tmp_path), ["shard"])
    assert "nltk.downloader punkt" in caught.value.next_step


@pytest.mark.parametrize(
    ("extractor", "words"),
    [("", "not there"), ("import re; re.compile('a(?i')", "does not run with this Python")],
)
def test_a_wikiextractor_that_is_not_there_or_not_fit_is_named(tmp_path, repo, extractor, words):
    root = repo(extractor=extractor)
    with pytest.raises(EnvironmentUnfit, match=words) as caught:
        UpstreamText(root, DataLayout(tmp_path), ["extract"])
    assert "--until extract" in caught.value.next_step
    UpstreamText(root, DataLayout(tmp_path), ["format"])  # which needs none


def test_a_path_that_a_shell_would_split_is_refused(tmp_path, repo):
    with pytest.raises(EnvironmentUnfit, match="cannot extract here"):
        UpstreamText(repo(), DataLayout(tmp_path / "my data"), ["extract"])


def test_a_checkout_without_the_script_is_named(tmp_path, repo):
    shutil.rmtree(str(repo()))
    with pytest.raises(EnvironmentUnfit, match="not there"):
        UpstreamText(tmp_path / "repo", DataLayout(tmp_path), ["format"])

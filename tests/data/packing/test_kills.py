"""`kill -9` at any moment, and run again: the same bytes; and never metadata beside other packs."""

import os
import random
import shutil
import signal
import subprocess
import sys

import pytest

from bertkit.data.packing.metadata import metadata_path
from bertkit.data.packing.packer import Request
from bertkit.data.packing.stage import pack
from tests.data.packing.conftest import fill
from tests.data.packing.test_bad_input import start
from tests.data.packing.test_pack import all_bytes

KILLS = int(os.environ.get("BERTKIT_KILLS", "3"))
MANY = 12

# What the kernel is asked for while packs are put in place; each is a moment to be killed at.
PLACING = ("os.rename", "os.remove", "os.rmdir", "shutil.rmtree")


def placing(event, arguments):
    """Whether this changes what lies beside the packs; their making is tested at random moments."""
    place = str(arguments[0]) if event in PLACING else ""
    # A bare name is one within a directory that goes as a whole.
    return "/" in place and "/packing/" not in place and "/parts/" not in place


def naming_a_file(event, arguments):
    """Whether a file of packs that is whole gets its name."""
    return event == "os.rename" and "/files/" in str(arguments[1])


@pytest.fixture
def few(tmp_path):
    """Records that are packed in a moment: what matters here is how the packs are put in place."""
    directory = tmp_path / "few" / "training"
    fill(directory, 2, 30)
    return directory


def settled(source, output, ranks=2):
    """As `start` packs: with its seed and window."""
    return pack(Request(source, output, ranks=ranks, window=256, workers=1))


def made_so_far(output):
    """The files of packs that have their note: name -> inode, which a file made again has not."""
    place = output.parent / ".bertkit"
    notes = len(list(place.glob("parts/files-of-training/*.json")))
    files = sorted(place.glob("packing/training/files/*"), key=lambda path: path.stat().st_mtime_ns)
    return {path.name: path.stat().st_ino for path in files[:notes]}


def test_kill_9_at_random_moments_and_run_again_gives_the_same_bytes(source, tmp_path):
    wanted = all_bytes(settled(source, tmp_path / "quiet" / "corpus" / "training", MANY).output)
    output = tmp_path / "killed" / "corpus" / "training"
    rng = random.Random()
    made = {}
    for _ in range(KILLS):
        running = start(source, output, "--workers", "2", "--ranks", str(MANY))
        try:
            running.wait(timeout=rng.uniform(0.2, 1.2))
        except subprocess.TimeoutExpired:
            running.kill()
            running.communicate()
        made.update(made_so_far(output))
    final = start(source, output, "--workers", "2", "--ranks", str(MANY))
    _, told = final.communicate(timeout=300)
    assert final.returncode == 0, told
    assert all_bytes(output) == wanted
    assert made.items() <= {path.name: path.stat().st_ino for path in output.iterdir()}.items()


def test_what_was_done_before_a_kill_is_not_done_again(source, tmp_path, caplog):
    output = tmp_path / "corpus" / "training"
    request = Request(source, output, ranks=8, window=256, workers=1)
    assert killed_at(request, 4, naming_a_file)
    made = made_so_far(output)
    index = sorted(output.parent.glob(".bertkit/packing/training/index/*"))
    before = [path.stat().st_ino for path in index]
    assert len(made) == len(before) == 3
    with caplog.at_level("INFO"):
        pack(request)
    assert "files of training: 3 of 8 parts are there already" in caplog.text
    assert [path.stat().st_ino for path in index] == before
    assert made.items() <= {path.name: path.stat().st_ino for path in output.iterdir()}.items()
    assert not list(output.parent.glob(".bertkit/packing/training/files"))


def killed_at(request, moment, what=placing, **how):
    """Pack in a child process that kills itself before its *moment*-th call; true if it did."""
    child = os.fork()
    if child:
        return os.WIFSIGNALED(os.waitpid(child, 0)[1])
    count = 0

    def hook(event, arguments):
        nonlocal count
        if what(event, arguments):
            count += 1
            if count == moment:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    pack(request, **how)
    os._exit(0)


def test_metadata_never_lies_beside_packs_that_it_does_not_describe(few, tmp_path):
    output = tmp_path / "packs" / "training"
    old = Request(few, output, ranks=2, workers=1)
    pack(old)
    smaller = tmp_path / "fewer" / "training"
    smaller.mkdir(parents=True)
    shutil.copy(str(few / "0.tfrecord"), str(smaller))
    new = Request(smaller, output, ranks=3, workers=1)
    wanted = [all_bytes(output)]
    pack(new)
    wanted.append(all_bytes(output))
    pack(old)
    kept = shutil.copytree(str(output.parent), str(tmp_path / "kept"))
    moment, killed = 0, True
    while killed:
        moment += 1
        shutil.rmtree(str(output.parent))
        shutil.copytree(kept, str(output.parent))
        killed = killed_at(new, moment)
        if metadata_path(output).exists():
            assert all_bytes(output) in wanted
        pack(new)
        assert all_bytes(output) == wanted[1]
    assert moment > 6


def test_a_second_kill_while_clearing_up_leaves_no_metadata_beside_other_packs(few, tmp_path):
    output = tmp_path / "packs" / "training"
    one = Request(few, output, ranks=2, workers=1)
    other = one._replace(seed=2)
    pack(one)
    wanted = [all_bytes(output)]
    pack(other)
    wanted.append(all_bytes(output))
    for first in range(1, 8):
        for second in (1, 3):
            pack(one)
            killed_at(other, first)
            killed_at(one, second)
            if metadata_path(output).exists():
                assert all_bytes(output) in wanted
    pack(one)
    assert all_bytes(output) == wanted[0]


@pytest.mark.parametrize("what", ["training", "training_metadata.json", "training.manifest.json"])
def test_what_is_missing_is_made_again(few, tmp_path, what):
    output = tmp_path / "packs" / "training"
    settled(few, output)
    wanted = all_bytes(output)
    lost = output.parent / what
    if lost.is_dir():
        shutil.rmtree(str(lost))
    else:
        lost.unlink()
    if what == "training.manifest.json":  # whose files these are is not known any more
        with pytest.raises(Exception, match="did not make"):
            settled(few, output)
        return
    assert settled(few, output).state == "made"
    assert all_bytes(output) == wanted

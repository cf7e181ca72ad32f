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

# What the kernel is asked for while packs are put in place; each is a moment to be killed at.
PLACING = ("os.rename", "os.remove", "os.rmdir", "shutil.rmtree")


@pytest.fixture
def few(tmp_path):
    """Records that are packed in a moment: what matters here is how the packs are put in place."""
    directory = tmp_path / "few" / "training"
    fill(directory, 2, 30)
    return directory


def settled(source, output):
    """As `start` packs: with its seed, ranks and window."""
    return pack(Request(source, output, ranks=2, window=256, workers=1))


def test_kill_9_at_random_moments_and_run_again_gives_the_same_bytes(source, tmp_path):
    wanted = all_bytes(settled(source, tmp_path / "quiet" / "corpus" / "training").output)
    output = tmp_path / "killed" / "corpus" / "training"
    rng = random.Random()
    for _ in range(KILLS):
        running = start(source, output, "--workers", "2")
        try:
            running.wait(timeout=rng.uniform(0.2, 1.2))
        except subprocess.TimeoutExpired:
            running.kill()
            running.communicate()
    final = start(source, output, "--workers", "2")
    _, told = final.communicate(timeout=300)
    assert final.returncode == 0, told
    assert all_bytes(output) == wanted


def killed_at(request, moment):
    """Pack in a child process that kills itself before its *moment*-th call; true if it did."""
    child = os.fork()
    if child:
        return os.WIFSIGNALED(os.waitpid(child, 0)[1])
    count = 0

    def hook(event, _arguments):
        nonlocal count
        if event in PLACING:
            count += 1
            if count == moment:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    pack(request)
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
    moment, killed = 0, True
    while killed:
        moment += 1
        pack(old)
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

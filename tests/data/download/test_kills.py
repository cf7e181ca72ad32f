"""Processes that are killed, that run at once, and whose disk is full."""

import json
import signal
import subprocess
import sys
import threading
import time

import pytest

from bertkit.data.download import Patience, Remote, fetch
from bertkit.errors import DownloadFailed
from tests import servers
from tests.servers import serving

from .conftest import CONTENT, PATH, PLACE

PROGRAM = """
import sys
from pathlib import Path
from bertkit.data.download import Patience, Remote, fetch
address, directory, split = sys.argv[1:]
print(fetch(Remote("set/file.txt", [address]), Path(directory),
            patience=Patience(sync_bytes=1 << 15, split_bytes=int(split))).was_there)
"""


def in_a_process(address, directory, split=1 << 30):
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, address, str(directory), str(split)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_after_kill_9_only_the_rest_is_fetched(server, remote, patience, tmp_path):
    stop = threading.Event()

    def hang(handler, body):
        handler.head(body)
        handler.write(body[:200_000])
        stop.wait(60)
        handler.close_connection = True

    server.faults[PATH] = [hang]
    process = in_a_process(server.url + PATH, tmp_path)
    note = tmp_path / "set" / "file.txt.part.json"
    until(lambda: note.exists() and json.loads(note.read_text())["size"] >= 100_000)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    stop.set()
    assert not (tmp_path / PLACE).exists()
    assert fetch(remote, tmp_path, patience=patience).path.read_bytes() == CONTENT
    first, second = server.log
    begun = int(second.range[len("bytes=") : -1])
    assert 100_000 <= begun <= 200_000
    assert second.sent == len(CONTENT) - begun


def test_kills_at_any_moment_with_two_connections_lose_nothing_and_leave_nothing(
    server, remote, patience, tmp_path
):
    def slow(handler, body):
        start = handler.asked_start(body)
        handler.head(body, start)
        for at in range(start, len(body), 10_000):
            handler.write(body[at : at + 10_000])
            time.sleep(0.005)

    server.faults[PATH] = [slow] * 99
    for pause in (0.0, 0.02, 0.04):
        asked = len(server.requests)
        process = in_a_process(server.url + PATH, tmp_path, split=200_000)
        until(lambda asked=asked: len(server.requests) > asked)
        time.sleep(pause)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    split = patience._replace(split_bytes=200_000)
    assert fetch(remote, tmp_path, patience=split).path.read_bytes() == CONTENT
    left = sorted(path.name for path in (tmp_path / "set").iterdir())
    assert left == [".file.txt.lock", "file.txt", "file.txt.pin.json"]


def test_two_processes_at_once_fetch_it_once(server, tmp_path):
    go_on = threading.Event()

    def wait(handler, body):
        go_on.wait(60)
        handler.file(body)

    server.faults[PATH] = [wait]
    first = in_a_process(server.url + PATH, tmp_path)
    until(lambda: server.requests)
    second = in_a_process(server.url + PATH, tmp_path)
    assert second.stderr.readline().startswith(f"waiting for process {first.pid} on ")
    go_on.set()
    assert first.communicate()[0] == "False\n"
    assert second.communicate()[0] == "True\n"
    assert len(server.requests) == 1


@pytest.fixture
def small_disk(tmp_path):
    """A file system of one megabyte."""
    place = tmp_path / "small"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(place)],
        stderr=subprocess.PIPE,
        check=False,
    )
    if done.returncode:
        pytest.skip("only root may mount a small file system")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("sync_bytes", [1 << 15, 16 << 20])
def test_a_disk_that_fills_up_keeps_what_came_for_the_next_run(small_disk, patience, sync_bytes):
    patience = patience._replace(sync_bytes=sync_bytes)
    content = servers.numbered(2 << 20)
    with serving({PATH: content}) as server:

        def no_length(handler, body):  # so that nothing is known before
            handler.send_response(200)
            handler.send_header("ETag", servers.etag(body))
            handler.end_headers()
            handler.close_connection = True
            handler.write(body)

        server.faults[PATH] = [no_length]
        remote = Remote(PLACE, [server.url + PATH])
        with pytest.raises(DownloadFailed, match="there is no room") as unfit:
            fetch(remote, small_disk, patience=patience)
        assert "No space left on device" in unfit.value.why
        subprocess.run(["mount", "-o", "remount,size=40m", str(small_disk)], check=True)
        assert fetch(remote, small_disk, patience=patience).path.read_bytes() == content
        assert int(server.log[-1].range[len("bytes=") : -1]) > 500_000


def test_a_place_that_cannot_be_written_is_named(remote, tmp_path):
    (tmp_path / "set").write_text("a file")
    with pytest.raises(OSError, match="set"):
        fetch(remote, tmp_path, patience=Patience())

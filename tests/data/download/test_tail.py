"""A large file by two connections: the same file, whatever becomes of the second one."""

import json
import threading

import pytest

from bertkit.data.download import Remote, fetch, slots
from bertkit.errors import DownloadFailed
from tests import servers

from .conftest import CONTENT, PATH, PLACE

HALF = len(CONTENT) // 2


@pytest.fixture
def patience(patience):
    return patience._replace(split_bytes=200_000)


def ranges(server):
    return sorted(request.range or "" for request in server.log)


def left(directory):
    return sorted(path.name for path in (directory / "set").iterdir())


def hold_first_until_second(server):
    """The first connection gets no further than a third before the second one has asked."""
    second = threading.Event()

    def first(handler, body):
        handler.head(body)
        handler.write(body[:100_000])
        second.wait(60)
        handler.write(body[100_000:])

    def after(fault):
        def other(handler, body):
            second.set()
            fault(handler, body)

        return other

    return first, after


def test_both_halves_come_at_once(server, remote, patience, tmp_path):
    first, after = hold_first_until_second(server)
    server.faults[PATH] = [first, after(servers.Handler.file)]
    assert fetch(remote, tmp_path, patience=patience).path.read_bytes() == CONTENT
    assert ranges(server) == ["", f"bytes={HALF}-"]
    assert left(tmp_path) == [".file.txt.lock", "file.txt", "file.txt.pin.json"]


def test_a_small_file_or_one_without_a_name_for_its_content_comes_by_one(
    server, remote, patience, tmp_path
):
    fetch(remote, tmp_path / "small", patience=patience._replace(split_bytes=1 << 30))
    server.RequestHandlerClass = type("NoValidators", (servers.Handler,), {"validators": False})
    fetch(remote, tmp_path / "nameless", patience=patience)
    assert ranges(server) == ["", ""]


@pytest.mark.parametrize(
    "fault",
    [servers.without_ranges, servers.wrong_range, servers.status(404), servers.cut(0),
     servers.cut(50_000)],
)  # fmt: skip
def test_where_the_second_fails_the_first_goes_on(server, remote, patience, tmp_path, fault):
    first, after = hold_first_until_second(server)
    server.faults[PATH] = [first, after(fault)]
    one_try = patience._replace(attempts=1, enough_bytes=1 << 30)
    assert fetch(remote, tmp_path, patience=one_try).path.read_bytes() == CONTENT


def test_a_server_that_never_gives_parts_is_not_asked_for_ever(server, remote, patience, tmp_path):
    server.faults[PATH] = [servers.without_ranges] * 9
    assert fetch(remote, tmp_path, patience=patience).path.read_bytes() == CONTENT
    assert len(server.requests) <= 3


def test_where_the_first_fails_both_halves_are_gone_on_with(server, remote, patience, tmp_path):
    second_done = threading.Event()

    def first(handler, body):
        handler.head(body)
        handler.write(body[:100_000])
        second_done.wait(60)
        handler.close_connection = True

    def second(handler, body):
        servers.cut(100_000)(handler, body)
        second_done.set()

    server.faults[PATH] = [first, second, *[servers.status(404)] * 9]
    with pytest.raises(DownloadFailed):
        fetch(remote, tmp_path, patience=patience._replace(attempts=1))
    note = json.loads((tmp_path / "set" / "file.txt.part.tail.json").read_text())
    server.faults.clear()
    server.log.clear()
    assert fetch(remote, tmp_path, patience=patience).path.read_bytes() == CONTENT
    assert 0 < note["size"] <= 100_000
    assert ranges(server) == ["bytes=100000-", f"bytes={HALF + note['size']}-"]


def test_a_file_that_changed_gets_nothing_of_the_old_halves(server, remote, patience, tmp_path):
    test_where_the_first_fails_both_halves_are_gone_on_with(server, remote, patience, tmp_path)
    (tmp_path / PLACE).rename(tmp_path / "set" / "file.txt.part")
    old = servers.etag(CONTENT)
    address = server.url + PATH
    part = {"address": address, "validator": old, "size": 1000, "total": len(CONTENT)}
    tail = {"content": [address, old, len(CONTENT)], "origin": HALF, "size": 1000}
    (tmp_path / "set" / "file.txt.part.json").write_text(json.dumps(part))
    (tmp_path / "set" / "file.txt.part.tail.json").write_text(json.dumps(tail))
    (tmp_path / "set" / "file.txt.pin.json").unlink()
    server.files[PATH] = CONTENT[::-1][:-50_000]
    assert fetch(remote, tmp_path, patience=patience).path.read_bytes() == server.files[PATH]


def test_two_large_files_of_one_host_at_once_wait_for_each_other_and_end(
    server, patience, tmp_path
):
    for name in ("/a", "/b", "/c"):
        server.files[name] = CONTENT
    threads = [
        threading.Thread(
            target=fetch,
            args=(Remote(name, [f"{server.url}/{name}"]), tmp_path),
            kwargs={"patience": patience},
        )
        for name in "abc"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [(tmp_path / name).read_bytes() == CONTENT for name in "abc"] == [True] * 3
    assert server.most_at_once <= slots.MOST

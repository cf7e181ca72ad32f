"""A file comes whole and right, or an error says why, and the next run goes on."""

import hashlib
import json

import pytest

from bertkit.data.download import Remote, fetch
from bertkit.errors import BertkitError, DataDamaged, DownloadFailed
from tests import servers
from tests.servers import serving

from .conftest import CONTENT, PATH, PLACE

SHA256 = hashlib.sha256(CONTENT).hexdigest()


def parts_below(directory):
    return [path.name for path in directory.rglob("*") if ".part" in path.name]


def test_a_file_comes_with_a_pin_beside_it(server, remote, patience, tmp_path, monkeypatch):
    monkeypatch.setenv("BERTKIT_CONTACT", "someone@example.org")
    done = fetch(remote, tmp_path, patience=patience)
    assert done.path == tmp_path / PLACE
    assert done.path.read_bytes() == CONTENT
    assert (done.sha256, done.size, done.was_there) == (SHA256, len(CONTENT), False)
    pin = json.loads((tmp_path / "set" / "file.txt.pin.json").read_text())
    assert (pin["sha256"], pin["address"]) == (SHA256, server.url + PATH)
    assert not parts_below(tmp_path)
    assert server.log[0].agent.startswith("bertkit/")
    assert "(someone@example.org)" in server.log[0].agent


def test_what_is_there_is_not_fetched_again(server, remote, patience, tmp_path):
    fetch(remote, tmp_path, patience=patience)
    assert fetch(remote, tmp_path, patience=patience).was_there
    assert len(server.requests) == 1


def test_after_a_break_it_goes_on_where_it_stopped(server, remote, patience, tmp_path):
    server.faults[PATH] = [servers.cut(100_000)]
    assert fetch(remote, tmp_path, patience=patience).path.read_bytes() == CONTENT
    assert [request.range for request in server.log] == [None, "bytes=100000-"]
    assert [request.sent for request in server.log] == [100_000, 200_000]


def test_a_length_that_is_a_lie_is_no_whole_file(server, remote, patience, tmp_path):
    server.faults[PATH] = [servers.too_short] * 3
    with pytest.raises(DownloadFailed, match="it closed the connection, after "):
        fetch(remote, tmp_path, patience=patience)
    assert not (tmp_path / PLACE).exists()
    assert fetch(remote, tmp_path, patience=patience).path.read_bytes() == CONTENT


def test_a_run_that_fails_keeps_what_came_and_the_next_goes_on(server, remote, patience, tmp_path):
    server.faults[PATH] = [servers.cut(100_000), servers.status(500), servers.status(503)]
    with pytest.raises(DownloadFailed) as failed:
        fetch(remote, tmp_path, patience=patience)
    assert f"{server.url}{PATH}: 503 Service Unavailable" in str(failed.value)
    assert "100.0 kB of it are kept" in str(failed.value)
    assert failed.value.exit_code == 1
    assert not (tmp_path / PLACE).exists()
    assert fetch(remote, tmp_path, patience=patience).path.read_bytes() == CONTENT
    assert server.log[-1].range == "bytes=100000-"
    assert server.log[-1].sent == 200_000


@pytest.mark.parametrize("code", [403, 404, 410])
def test_a_refusal_is_not_asked_again(server, remote, patience, tmp_path, code):
    server.faults[PATH] = [servers.status(code)] * 9
    with pytest.raises(DownloadFailed, match=f"{PATH}: {code} ") as failed:
        fetch(remote, tmp_path, patience=patience)
    assert failed.value.where == server.url + PATH
    assert "--from DIR" in failed.value.next_step
    assert len(server.requests) == 1


def test_a_refusal_of_a_client_without_contact_tells_how_to_name_one(
    server, remote, patience, tmp_path, monkeypatch
):
    monkeypatch.delenv("BERTKIT_CONTACT", raising=False)
    for contact in ("", "someone@example.org"):
        server.faults[PATH] = [servers.status(403)]
        with pytest.raises(DownloadFailed) as failed:
            fetch(remote, tmp_path, patience=patience)
        assert ("set BERTKIT_CONTACT" in failed.value.why) == (not contact)
        monkeypatch.setenv("BERTKIT_CONTACT", "someone@example.org")


def test_waits_grow_and_are_the_servers_own_where_it_asks(
    server, remote, patience, tmp_path, waits
):
    server.faults[PATH] = [servers.status(500), servers.status(503, Retry_After="7")]
    fetch(remote, tmp_path, patience=patience)
    assert 0.5 <= waits[0] <= 1
    assert waits[1] == 7
    assert 1 <= patience.wait_after(2) <= 2
    assert patience.wait_after(50) <= patience.longest_wait


def test_a_server_that_asks_to_come_back_tomorrow_is_left(
    server, remote, patience, tmp_path, waits
):
    server.faults[PATH] = [servers.status(503, Retry_After="86400")]
    with pytest.raises(DownloadFailed, match="asks to come back in 86400 s"):
        fetch(remote, tmp_path, patience=patience)
    assert waits == []


def test_mirrors_are_tried_in_order(server, patience, tmp_path):
    with serving({}) as first:
        remote = Remote(PLACE, [first.url + PATH, "http://127.0.0.1:1/x", server.url + PATH])
        done = fetch(remote, tmp_path, patience=patience)
    assert done.address == server.url + PATH
    assert len(first.requests) == 1


def test_with_a_published_sum_another_mirror_goes_on_with_the_part(server, patience, tmp_path):
    with serving({PATH: CONTENT}) as first:
        first.faults[PATH] = [servers.cut(100_000), *[servers.status(404)] * 3]
        remote = Remote(PLACE, [first.url + PATH, server.url + PATH], {"sha256": SHA256})
        fetch(remote, tmp_path, patience=patience)
    assert [request.range for request in server.log] == ["bytes=100000-"]


def test_without_a_sum_another_mirror_begins_anew(server, patience, tmp_path):
    with serving({PATH: b"x" + CONTENT[1:]}) as first:
        first.faults[PATH] = [servers.cut(100_000), *[servers.status(404)] * 3]
        remote = Remote(PLACE, [first.url + PATH, server.url + PATH])
        assert fetch(remote, tmp_path, patience=patience).path.read_bytes() == CONTENT
    assert [request.range for request in server.log] == [None]


@pytest.mark.parametrize(
    "fault", [servers.without_ranges, servers.wrong_range, servers.status(416)]
)
def test_a_server_that_cannot_give_parts_gives_the_whole(server, remote, patience, tmp_path, fault):
    server.faults[PATH] = [servers.cut(100_000), fault]
    assert fetch(remote, tmp_path, patience=patience).path.read_bytes() == CONTENT


@pytest.mark.parametrize("size", [len(CONTENT), len(CONTENT) + 5])
def test_a_file_that_changed_between_two_parts_is_begun_anew(
    server, remote, patience, tmp_path, size
):
    new = servers.numbered(size)[::-1]

    def change(handler, body):
        servers.cut(100_000)(handler, body)
        server.files[PATH] = new

    server.faults[PATH] = [change]
    assert fetch(remote, tmp_path, patience=patience).path.read_bytes() == new
    assert [request.range for request in server.log] == [None, "bytes=100000-"]


def test_without_etag_and_sum_nothing_is_pieced_together(server, remote, patience, tmp_path):
    server.RequestHandlerClass = type("NoValidators", (servers.Handler,), {"validators": False})
    server.faults[PATH] = [servers.cut(100_000)]
    assert fetch(remote, tmp_path, patience=patience).path.read_bytes() == CONTENT
    assert [request.range for request in server.log] == [None, None]


def test_parts_that_do_not_belong_together_are_fetched_once_more(server, patience, tmp_path):
    """A mirror whose file changed, and which has no ETag to tell."""
    server.RequestHandlerClass = type("NoValidators", (servers.Handler,), {"validators": False})

    def other(handler, body):
        handler.head(b"x" * len(body))
        handler.write(b"x" * 100_000)
        handler.close_connection = True

    server.faults[PATH] = [other]
    remote = Remote(PLACE, [server.url + PATH], {"sha256": SHA256})
    assert fetch(remote, tmp_path, patience=patience).path.read_bytes() == CONTENT
    assert [request.range for request in server.log] == [None, "bytes=100000-", None]


def test_altered_bytes_are_found_and_never_get_the_name(server, patience, tmp_path):
    remote = Remote(PLACE, [server.url + PATH], {"sha1": hashlib.sha1(CONTENT).hexdigest()})
    server.faults[PATH] = [servers.altered]
    with pytest.raises(DataDamaged, match="its sha1 is .*, not ") as damaged:
        fetch(remote, tmp_path, patience=patience)
    assert damaged.value.exit_code == 6
    assert [path.name for path in (tmp_path / "set").iterdir()] == [".file.txt.lock"]
    assert fetch(remote, tmp_path, patience=patience).path.read_bytes() == CONTENT


def test_an_altered_mirror_is_passed_over(server, patience, tmp_path):
    with serving({PATH: CONTENT}) as bad:
        bad.faults[PATH] = [servers.altered]
        remote = Remote(PLACE, [bad.url + PATH, server.url + PATH], {"sha256": SHA256})
        assert fetch(remote, tmp_path, patience=patience).address == server.url + PATH


def test_a_size_that_is_known_refuses_another_file_before_it_comes(server, patience, tmp_path):
    remote = Remote(PLACE, [server.url + PATH], {"sha256": SHA256}, size=5)
    with pytest.raises(DataDamaged, match="it has 300,000 bytes, not 5"):
        fetch(remote, tmp_path, patience=patience)


def test_another_file_at_a_mirror_does_not_cost_the_part(server, patience, tmp_path):
    with serving({PATH: b"please log in"}) as portal:
        server.faults[PATH] = [servers.cut(100_000), *[servers.status(404)] * 3]
        addresses = [server.url + PATH, portal.url + PATH]
        remote = Remote(PLACE, addresses, {"sha256": SHA256})
        with pytest.raises(DataDamaged, match="it has 13 bytes, not 300,000"):
            fetch(remote, tmp_path, patience=patience)
    server.faults.clear()
    fetch(remote, tmp_path, patience=patience)
    assert server.log[-1].range == "bytes=100000-"


def test_a_page_of_no_known_length_instead_of_the_file_does_not_cost_the_part(
    server, patience, tmp_path
):
    def without_length(content):
        def fault(handler, body):
            handler.send_response(200)
            handler.end_headers()
            handler.write(content)
            handler.close_connection = True

        return fault

    remote = Remote(PLACE, [server.url + PATH], {"sha256": SHA256})
    server.faults[PATH] = [servers.cut(100_000), without_length(b"please log in")]
    with pytest.raises(DataDamaged, match="begins otherwise"):
        fetch(remote, tmp_path, patience=patience)
    server.faults[PATH] = [servers.cut(100_000), without_length(CONTENT)]
    assert fetch(remote, tmp_path, patience=patience).path.read_bytes() == CONTENT
    asked = [request.range for request in server.log]
    assert asked == [None, "bytes=100000-", "bytes=100000-", "bytes=200000-"]


def test_a_sum_that_is_published_later_is_compared_too(server, remote, patience, tmp_path):
    fetch(remote, tmp_path, patience=patience)
    right, wrong = ({"sha1": sum} for sum in (hashlib.sha1(CONTENT).hexdigest(), "0" * 40))
    assert fetch(remote._replace(sums=right), tmp_path, patience=patience).was_there
    with pytest.raises(DataDamaged, match="not the file that is published"):
        fetch(remote._replace(sums=wrong), tmp_path, patience=patience)


def test_what_is_larger_than_it_can_be_is_refused(server, patience, tmp_path):
    def endless(handler, body):
        handler.send_response(200)
        handler.end_headers()
        handler.write(body)
        handler.close_connection = True

    server.faults[PATH] = [endless]
    for _ in ("without a length", "with one"):
        with pytest.raises(DataDamaged, match=r"larger than 1.0 kB"):
            fetch(Remote(PLACE, [server.url + PATH], most_bytes=1000), tmp_path, patience=patience)
    assert not parts_below(tmp_path)


def test_a_second_download_must_be_the_first_again(server, remote, patience, tmp_path):
    done = fetch(remote, tmp_path, patience=patience)
    done.path.unlink()
    server.files[PATH] = CONTENT[::-1]
    with pytest.raises(DataDamaged, match="its sha256 is") as damaged:
        fetch(remote, tmp_path, patience=patience)
    assert str(tmp_path / "set" / "file.txt.pin.json") in damaged.value.next_step
    server.files[PATH] = CONTENT
    assert fetch(remote, tmp_path, patience=patience).path.read_bytes() == CONTENT


def test_a_file_that_was_changed_on_the_disk_is_named_and_kept(remote, patience, tmp_path):
    path = fetch(remote, tmp_path, patience=patience).path
    path.write_bytes(b"mine")
    with pytest.raises(DataDamaged, match="is not what was fetched"):
        fetch(remote, tmp_path, patience=patience)
    assert path.read_bytes() == b"mine"


def test_a_file_of_unknown_origin_is_neither_taken_nor_touched(remote, patience, tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / PLACE).write_bytes(CONTENT)
    with pytest.raises(BertkitError, match="bertkit did not fetch it"):
        fetch(remote, tmp_path, patience=patience)
    with_sum = remote._replace(sums={"sha256": SHA256})
    assert fetch(with_sum, tmp_path, patience=patience).was_there


def test_a_further_check_comes_before_the_name(server, remote, patience, tmp_path):
    def no_archive(path):
        raise DataDamaged("it is no archive", where=path)

    with pytest.raises(DataDamaged, match="it is no archive"):
        fetch(remote, tmp_path, patience=patience, check=no_archive)
    assert not (tmp_path / PLACE).exists()


def test_a_file_for_which_there_is_no_room_is_not_begun(server, remote, patience, tmp_path):
    server.faults[PATH] = [lambda handler, body: handler.head(body, Content_Length=str(10**17))]
    with pytest.raises(DownloadFailed, match="no room") as unfit:
        fetch(remote._replace(most_bytes=10**18), tmp_path, patience=patience)
    assert "100000000.0 GB are to come" in unfit.value.why
    assert not parts_below(tmp_path)


def test_files_that_are_there_are_copied_and_checked(remote, patience, tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    (own / "file.txt").write_bytes(CONTENT)
    for given in (str(own), own.as_uri(), str(own / "file.txt")):
        done = fetch(remote, tmp_path / given.replace("/", "_"), given=given, patience=patience)
        assert done.path.read_bytes() == CONTENT
    (own / "file.txt").write_bytes(b"x" + CONTENT[1:])
    with_sum = remote._replace(sums={"sha256": SHA256})
    with pytest.raises(DataDamaged):
        fetch(with_sum, tmp_path / "d", given=str(own), patience=patience)


def test_a_mirror_of_ones_own_has_the_layout_of_download_or_none(patience, tmp_path):
    remote = Remote(PLACE, ["https://example.invalid/x"])
    for path in (PATH, "/file.txt"):
        with serving({path: CONTENT}) as mirror:
            done = fetch(remote, tmp_path / path[1:], given=mirror.url, patience=patience)
            assert done.path.read_bytes() == CONTENT

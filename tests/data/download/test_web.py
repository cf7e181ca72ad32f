"""Requests: redirects that are checked, time limits, proxies, certificates, two connections."""

import contextlib
import ssl
import threading

import pytest

from bertkit.data.download import Patience, Remote, fetch, slots
from bertkit.errors import DownloadFailed
from tests import servers
from tests.servers import Proxy, running
from tests.upstream.servers import TLS

from .conftest import CONTENT, PATH, PLACE


def redirect(location):
    return servers.status(302, Location=location)


def test_a_redirect_is_followed(server, remote, patience, tmp_path):
    server.files["/there"] = CONTENT
    server.faults[PATH] = [redirect("/there")]
    assert fetch(remote, tmp_path, patience=patience).path.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("target", "why"),
    [
        (PATH, "redirects in a circle"),
        ("file:///etc/passwd", "redirects to file:///etc/passwd, which is not followed"),
        ("ftp://example.org/x", "which is not followed"),
        ("http://user:word@127.0.0.1/x", "credentials"),
        ("", "redirects to nowhere"),
        ("http://[::1", "redirects to what is no address"),
    ],
)
def test_a_redirect_to_nowhere_good_is_not_followed(
    server, remote, patience, tmp_path, target, why
):
    server.faults[PATH] = [redirect(target)] * 2
    with pytest.raises(DownloadFailed, match=why) as failed:
        fetch(remote, tmp_path, patience=patience)
    assert "word" not in str(failed.value)


def test_what_stands_behind_a_redirects_headers_is_not_read(server, remote, patience, tmp_path):
    def endless(handler, body):
        handler.send_response(302)
        handler.send_header("Location", "/there")
        handler.end_headers()
        with contextlib.suppress(OSError):
            while True:
                handler.write(b"x" * 65536)

    server.files["/there"] = CONTENT
    server.faults[PATH] = [endless]
    assert fetch(remote, tmp_path, patience=patience).path.read_bytes() == CONTENT
    assert server.log[0].sent < 100 << 20


def test_redirects_come_to_an_end(server, remote, patience, tmp_path):
    server.faults[PATH] = [redirect("/1")]
    for number in range(1, 9):
        server.faults[f"/{number}"] = [redirect(f"/{number + 1}")]
    with pytest.raises(DownloadFailed, match="redirects more than 5 times"):
        fetch(remote, tmp_path, patience=patience)


def test_a_silent_server_is_given_up(server, remote, patience, tmp_path, waits):
    server.faults[PATH] = [servers.silent(3)] * 2
    with pytest.raises(DownloadFailed, match="it did not answer in time"):
        fetch(remote, tmp_path, patience=patience._replace(read=0.05, attempts=2))
    assert len(waits) == 1


def test_a_server_that_drips_is_given_up_though_it_never_falls_silent(
    server, remote, patience, tmp_path
):
    server.faults[PATH] = [servers.dripping(0.01)]
    slow = patience._replace(window=0.2, attempts=1)
    with pytest.raises(DownloadFailed, match=r"too slow: \d+ bytes in 0.2 s"):
        fetch(remote, tmp_path, patience=slow)


@pytest.mark.parametrize("address", ["http://127.0.0.1:1/x", "http://no-such-host.invalid/x"])
def test_an_address_without_a_server_is_named_with_the_plain_reason(patience, tmp_path, address):
    with pytest.raises(DownloadFailed) as failed:
        fetch(Remote(PLACE, [address]), tmp_path, patience=patience)
    assert f"{address}: " in failed.value.why
    assert "object at" not in failed.value.why
    assert "HTTPConnectionPool" not in failed.value.why


def test_the_proxy_of_the_environment_is_used_and_no_proxy_is_heard(
    server, patience, tmp_path, monkeypatch
):
    remote = Remote(PLACE, ["http://data.example.invalid/file.txt"])
    with running(Proxy({"/file.txt": CONTENT})) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("http_proxy", proxy.url)
        assert fetch(remote, tmp_path, patience=patience).path.read_bytes() == CONTENT
        assert proxy.requests == ["http://data.example.invalid/file.txt"]
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        fetch(Remote("2", [server.url + PATH]), tmp_path, patience=patience)
        assert len(proxy.requests) == 1


def test_https_goes_through_the_proxy_too(patience, tmp_path, monkeypatch):
    with running(secured(servers.Server({PATH: CONTENT}))) as server, running(Proxy({})) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("https_proxy", proxy.url)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(TLS / "localhost.pem"))
        remote = Remote(PLACE, [f"https://localhost:{server.server_port}{PATH}"])
        assert fetch(remote, tmp_path, patience=patience).path.read_bytes() == CONTENT
        assert proxy.requests == [f"localhost:{server.server_port}"]


def secured(server):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(str(TLS / "localhost.pem"))
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    return server


def test_a_certificate_must_be_trusted(patience, tmp_path, monkeypatch):
    server = secured(servers.Server({PATH: CONTENT}))
    with running(server):
        remote = Remote(PLACE, [f"https://localhost:{server.server_port}{PATH}"])
        with pytest.raises(DownloadFailed, match="certificate is not trusted"):
            fetch(remote, tmp_path, patience=patience)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(TLS / "localhost.pem"))
        assert fetch(remote, tmp_path, patience=patience).path.read_bytes() == CONTENT


def test_what_is_packed_though_nobody_asked_for_it_is_refused(server, remote, patience, tmp_path):
    server.faults[PATH] = [lambda handler, body: handler.head(b"", Content_Encoding="gzip")]
    with pytest.raises(DownloadFailed, match="it sends gzip"):
        fetch(remote, tmp_path, patience=patience)


def test_one_host_has_at_most_two_connections(server, tmp_path, patience):
    names = [f"/{number}" for number in range(6)]
    gate = threading.Event()

    def wait(handler, body):
        if len(server.log) >= slots.MOST:
            gate.set()  # as many as there will be at once
        gate.wait(10)
        handler.file(CONTENT)

    for name in names:
        server.files[name], server.faults[name] = CONTENT, [wait]
    threads = [
        threading.Thread(
            target=fetch,
            args=(Remote(name[1:], [server.url + name]), tmp_path),
            kwargs={"patience": patience},
        )
        for name in names
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(server.requests) == names
    assert server.most_at_once == slots.MOST


def test_the_locks_lie_in_no_one_elses_directory(tmp_path, monkeypatch):
    monkeypatch.setattr(slots.tempfile, "gettempdir", lambda: str(tmp_path))
    (tmp_path / f"bertkit-{slots.os.getuid()}").symlink_to("/etc")
    with pytest.raises(slots.EnvironmentUnfit, match="somebody else's"), slots.connection_to("h:1"):
        pass


def test_waiting_is_bounded_by_what_patience_says():
    patience = Patience()
    assert patience.wait_after(1) <= 1
    assert patience.wait_after(30) <= 300

"""A web server on this machine that has just the files it is given, and fails as it is told.

It answers Range and If-Range as RFC 9110 says. A *fault* is a function that answers one request
in its own way; ``server.faults[path]`` holds those for the next requests of a path, in order.
"""

from __future__ import annotations

import hashlib
import http.server
import socket
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Callable, Dict, Iterator, List, Optional


@dataclass
class Request:
    """What was asked for and how many bytes of it went out so far."""

    path: str
    range: Optional[str]
    agent: str
    sent: int = 0


class Server(http.server.ThreadingHTTPServer):
    """Answers with *files* (path with a leading ``/`` -> content), else with 403."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, files: Dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = files
        self.faults: Dict[str, List[Fault]] = {}
        self.log: List[Request] = []
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def requests(self) -> List[str]:
        """The paths asked for, in order."""
        return [request.path for request in self.log]

    def handle_error(self, *_: object) -> None:
        """Clients that go away are what these tests are about."""


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    validators = True

    def do_GET(self) -> None:
        asked, agent = self.headers.get("Range"), self.headers.get("User-Agent", "")
        self.request_made = Request(self.path, asked, agent)
        with self.server.lock:
            self.server.log.append(self.request_made)
            self.server.at_once += 1
            self.server.most_at_once = max(self.server.most_at_once, self.server.at_once)
        try:
            self.answer()
        finally:
            with self.server.lock:
                self.server.at_once -= 1

    def answer(self) -> None:
        faults = self.server.faults.get(self.path, [])
        body = self.server.files.get(self.path)
        if faults:
            faults.pop(0)(self, body or b"")
        elif body is None:
            self.status(403)
        else:
            self.file(body)

    def file(self, body: bytes, *, ranges: bool = True) -> None:
        start = self.asked_start(body) if ranges else 0
        if start >= len(body) > 0:
            self.status(416, Content_Range=f"bytes */{len(body)}")
            return
        self.head(body, start)
        self.write(body[start:])

    def asked_start(self, body: bytes) -> int:
        asked, condition = self.headers.get("Range"), self.headers.get("If-Range")
        if not asked or (condition is not None and condition != etag(body)):
            return 0
        return int(asked[len("bytes=") :].split("-")[0])

    def head(self, body: bytes, start: int = 0, **headers: str) -> None:
        self.send_response(206 if start else 200)
        fields = {"Content-Length": str(len(body) - start)}
        if self.validators:
            fields["ETag"] = etag(body)
        if start:
            fields["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        fields.update({name.replace("_", "-"): value for name, value in headers.items()})
        for name, value in fields.items():
            self.send_header(name, value)
        self.end_headers()

    def status(self, code: int, **headers: str) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def write(self, content: bytes) -> None:
        for at in range(0, len(content), 1 << 16):
            self.wfile.write(content[at : at + (1 << 16)])
            self.request_made.sent += len(content[at : at + (1 << 16)])

    def log_message(self, format: str, *args: object) -> None:
        pass


Fault = Callable[[Handler, bytes], None]


def etag(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()[:16]}"'


def status(code: int, **headers: str) -> Fault:
    """Nothing but a status, as 404 or 503 with ``Retry_After``."""
    return lambda handler, body: handler.status(code, **headers)


def cut(after: int) -> Fault:
    """The connection closes when *after* bytes have been sent."""

    def fault(handler: Handler, body: bytes) -> None:
        start = handler.asked_start(body)
        handler.head(body, start)
        handler.write(body[start : start + after])
        handler.close_connection = True

    return fault


def without_ranges(handler: Handler, body: bytes) -> None:
    """The whole file, whatever part was asked for."""
    handler.file(body, ranges=False)


def wrong_range(handler: Handler, body: bytes) -> None:
    """Another part than was asked for."""
    start = handler.asked_start(body)
    handler.head(body, start, Content_Range=f"bytes {start - 1}-{len(body) - 2}/{len(body)}")
    handler.write(body[start:])


def too_short(handler: Handler, body: bytes) -> None:
    """A Content-Length that promises more than there is."""
    handler.head(body, Content_Length=str(len(body) + 1000))
    handler.write(body)
    handler.close_connection = True


def altered(handler: Handler, body: bytes) -> None:
    """One byte is another one than it should be."""
    handler.head(body)
    handler.write(bytes([body[0] ^ 1]) + body[1:])


def dripping(pause: float) -> Fault:
    """A few bytes at a time, for as long as the client stays."""

    def fault(handler: Handler, body: bytes) -> None:
        handler.head(body)
        for at in range(len(body)):
            handler.write(body[at : at + 1])
            handler.wfile.flush()
            time.sleep(pause)

    return fault


def silent(seconds: float) -> Fault:
    """No answer at all for a while."""

    def fault(handler: Handler, body: bytes) -> None:
        time.sleep(seconds)
        handler.close_connection = True

    return fault


@contextmanager
def serving(files: Dict[str, bytes]) -> Iterator[Server]:
    """A running server."""
    with running(Server(files)) as server:
        yield server


@contextmanager
def running(server: Server) -> Iterator[Server]:
    """*server*, until the end of the block."""
    with server:
        # The default looks only twice a second whether it should end.
        loop = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        loop.start()
        try:
            yield server
        finally:
            server.shutdown()
            loop.join()


class Proxy(Server):
    """A proxy that has every http file itself, and passes https on; it notes what was asked."""

    def __init__(self, files: Dict[str, bytes]) -> None:
        super().__init__({})
        self.RequestHandlerClass = _ProxyHandler
        self.files = files


class _ProxyHandler(Handler):
    def do_CONNECT(self) -> None:
        self.server.log.append(Request(self.path, None, self.headers.get("User-Agent", "")))
        host, _, port = self.path.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=60) as there:
            self.send_response(200)
            self.end_headers()
            back = threading.Thread(target=_pass_on, args=(there, self.connection), daemon=True)
            back.start()
            _pass_on(self.connection, there)
            back.join()
        self.close_connection = True

    def answer(self) -> None:
        host_and_path = self.path[len("http://") :]
        body = self.server.files.get("/" + host_and_path.partition("/")[2])
        self.status(502) if body is None else self.file(body)


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        for piece in iter(lambda: source.recv(1 << 16), b""):
            target.sendall(piece)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def numbered(count: int) -> bytes:
    """*count* bytes in which no two places look alike."""
    return b"".join(b"%015d\n" % number for number in range(count // 16 + 1))[:count]

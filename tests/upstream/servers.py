"""Real HTTPS servers for git, and ones that fail in the ways that real ones do."""

from __future__ import annotations

import contextlib
import functools
import os
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

TLS = Path(__file__).resolve().parents[1] / "fixtures" / "tls"


class GitHandler(BaseHTTPRequestHandler):
    """Git's own smart HTTP server behind Python's, as a CGI program."""

    root: Path
    cut = False  # break off in the middle of every answer that carries objects

    def do_GET(self):
        self._answer(b"")

    def do_POST(self):
        self._answer(self._body())

    def _body(self):
        if self.headers.get("Transfer-Encoding", "") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        pieces = b""
        while True:
            size = int(self.rfile.readline(), 16)
            pieces += self.rfile.read(size)
            self.rfile.readline()
            if size == 0:
                return pieces

    def _answer(self, body):
        url = urlsplit(self.path)
        variables = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_NOSYSTEM": "1",
            "HOME": str(self.root),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "PATH_INFO": url.path,
            "QUERY_STRING": url.query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "REMOTE_ADDR": "127.0.0.1",
        }
        answer = subprocess.run(
            ["git", "http-backend"], input=body, env=variables, stdout=subprocess.PIPE, check=True
        ).stdout
        head, _, content = answer.partition(b"\r\n\r\n")
        headers = [line.split(": ", 1) for line in head.decode().split("\r\n")]
        status = next((int(value[:3]) for name, value in headers if name == "Status"), 200)
        self.send_response(status)
        for name, value in headers:
            if name != "Status":
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.cut and b"PACK" in content:
            content = content[: len(content) // 2]
            self.close_connection = True
        self.wfile.write(content)

    def log_message(self, *_arguments):
        pass


class CuttingHandler(GitHandler):
    cut = True


class StallingHandler(GitHandler):
    """Takes the request and never answers."""

    def _answer(self, body):
        self.server.stopping.wait()
        self.close_connection = True


class BrokenHandler(GitHandler):
    """Every answer is an error of the server's."""

    def _answer(self, body):
        self.send_error(502)


class ForbiddingHandler(GitHandler):
    """Wants a password, as GitHub does for repositories that are not there."""

    def _answer(self, body):
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="git"')
        self.send_header("Content-Length", "0")
        self.end_headers()


class DumbHandler(SimpleHTTPRequestHandler):
    """Plain files: no filters, no shallow fetches."""

    def log_message(self, *_arguments):
        pass


@contextlib.contextmanager
def serving(root, handler=GitHandler):
    """An HTTPS server for the repositories below *root*; gives its base URL."""
    if handler is DumbHandler:
        bound = functools.partial(DumbHandler, directory=str(root))
    else:
        bound = type("Bound", (handler,), {"root": root})
    server = ThreadingHTTPServer(("127.0.0.1", 0), bound)
    server.daemon_threads = True
    server.stopping = threading.Event()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(str(TLS / "localhost.pem"))
    # The handshake belongs into each connection's own thread: a silent client would stop all.
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"https://localhost:{server.server_port}"
    finally:
        server.stopping.set()
        server.shutdown()
        server.server_close()

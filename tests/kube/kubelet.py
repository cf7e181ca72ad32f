"""A kubelet's logs: what the API server asks a node for when someone asks it for a pod's log."""

from __future__ import annotations

import contextlib
import ssl
import threading
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Dict, Iterator, List, Tuple
from urllib.parse import parse_qs, urlsplit

from tests.kube.apiserver import BOTH, ApiServer

_Key = Tuple[str, str]


class Kubelet:
    """A node of a cluster whose pods print what tests say."""

    def __init__(self, node: str) -> None:
        self.node = node
        self.asked: List[str] = []
        self._lines: Dict[_Key, List[Tuple[str, str]]] = {}
        self._ended: Dict[_Key, bool] = {}
        self._changed = threading.Condition()
        self._time = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
        self._generation = 0

    def prints(self, pod: str, *texts: str, container: str = "", at_once: bool = False) -> None:
        """Lines of a container, a quarter of a second apart; *at_once*: at the same moment."""
        with self._changed:
            for text in texts:
                if not at_once:
                    self._time += timedelta(seconds=0.25)
                stamp = self._time.strftime("%Y-%m-%dT%H:%M:%S.%f000Z")
                self._lines.setdefault((pod, container), []).append((stamp, text))
            self._changed.notify_all()

    def ends(self, pod: str, container: str = "") -> None:
        """The container has ended: so do its logs."""
        with self._changed:
            self._ended[(pod, container)] = True
            self._changed.notify_all()

    def cut(self) -> None:
        """End all answers that are under way."""
        with self._changed:
            self._generation += 1
            self._changed.notify_all()

    def lines(self, pod: str, container: str, since: str, follow: bool) -> Iterator[str]:
        """Lines with their times, as the kubelet sends them."""
        known = [key for key in ((pod, container), (pod, "")) if key in self._lines]
        key = known[0] if known else (pod, container)
        given, generation = 0, self._generation
        while True:
            with self._changed:
                lines = self._lines.get(key, [])[given:]
                if not lines:
                    if not follow or self._ended.get(key) or self._generation != generation:
                        return
                    self._changed.wait(0.5)
                    continue
            given += len(lines)
            for stamp, text in lines:
                if stamp[:19] >= since[:19]:
                    yield f"{stamp} {text}"


@contextlib.contextmanager
def kubelet(server: ApiServer, node: str) -> Iterator[Kubelet]:
    """A node called *node* in the cluster of *server*, with its kubelet."""
    played = Kubelet(node)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            query = {key: values[0] for key, values in parse_qs(url.query).items()}
            played.asked.append(self.path)
            _, _, _, pod, container = url.path.split("/")
            self.send_response(200)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            with contextlib.suppress(OSError):
                since, follow = query.get("sinceTime", ""), query.get("follow") == "true"
                for line in played.lines(pod, container, since, follow):
                    data = line.encode() + b"\n"
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
                    self.wfile.flush()
                self.wfile.write(b"0\r\n\r\n")

        def log_message(self, *_: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(BOTH)
    http.socket = context.wrap_socket(http.socket, server_side=True)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    server.ask("POST", "/api/v1/nodes", {"metadata": {"name": node}})
    status = {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": http.server_address[1]}},
    }
    server.ask("PATCH", f"/api/v1/nodes/{node}/status", {"status": status})
    try:
        yield played
    finally:
        played.cut()
        http.shutdown()
        http.server_close()
        thread.join()
        server.ask("DELETE", f"/api/v1/nodes/{node}")

"""A wire to a server that can be cut, and be dead for a while."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Iterator, List


class Wire:
    """Carries TCP connections to a port of loopback.

    Attributes:
        port: where it begins.
        carried: how many connections it has carried.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._open: List[socket.socket] = []
        self._lock = threading.Lock()
        self.dead = False
        self.carried = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def cut(self) -> None:
        """Cut all connections in the middle of whatever they carry."""
        with self._lock:
            ends, self._open = self._open, []
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def close(self) -> None:
        self.dead = True
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                here, _ = self._listener.accept()
            except OSError:
                return
            if self.dead:
                here.close()
                continue
            there = socket.create_connection(("127.0.0.1", self._target))
            with self._lock:
                self.carried += 1
                self._open += [here, there]
            for pair in ((here, there), (there, here)):
                threading.Thread(target=self._carry, args=pair, daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                data = source.recv(2**16)
                if not data:
                    break
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def wire(target: int) -> Iterator[Wire]:
    """A wire to *target* for the length of the block."""
    made = Wire(target)
    try:
        yield made
    finally:
        made.close()

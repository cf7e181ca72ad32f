"""One request for one file, over http, https or from this machine, and what came of it.

`requests` brings verified TLS and the proxies of ``HTTP_PROXY``, ``HTTPS_PROXY`` and ``NO_PROXY``.
Redirects are followed here, because where they lead to is checked.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Iterator, Mapping, NamedTuple, Optional
from urllib.parse import unquote, urljoin, urlsplit

from bertkit import __version__
from bertkit.data.download.headers import length_of, range_of, seconds_of, validator_of
from bertkit.data.download.patience import Patience
from bertkit.data.download.reasons import plain
from bertkit.data.download.remote import checked, shown
from bertkit.data.download.slots import connection_to
from bertkit.errors import EnvironmentUnfit, UsageProblem

if TYPE_CHECKING:
    import requests

#: who is asked when a download troubles a server, such as a mail address
CONTACT = "BERTKIT_CONTACT"

_PIECE = 256 << 10
_REDIRECTS = (301, 302, 303, 307, 308)
_PASSING = (408, 425, 429, 500, 502, 503, 504)


class Trouble(Exception):
    """An address did not give the file."""


class Refused(Trouble):
    """It will not, however often one asks."""


class Passing(Trouble):
    """It may, a little later; ``wait`` is what the server asks for, in seconds."""

    def __init__(self, why: str, wait: Optional[float] = None) -> None:
        super().__init__(why)
        self.wait = wait


class WrongRange(Trouble):
    """It gives the file, but not from the middle."""


class Answer(NamedTuple):
    """A file's bytes from *start* on.

    Attributes:
        start: 0, or what was asked for.
        total: size of the whole file, if the server tells.
        validator: tells this content from an other at the same address; None if nothing does.
        pieces: the bytes; raises Passing where they end too early.
    """

    start: int
    total: Optional[int]
    validator: Optional[str]
    pieces: Iterator[bytes]


def user_agent() -> str:
    """What bertkit calls itself; operators of mirrors ask for someone to turn to."""
    import requests

    contact = re.sub(r"[^\x21-\x7e]", "", os.environ.get(CONTACT, "")) or "no contact given"
    return f"bertkit/{__version__} ({contact}) requests/{requests.__version__}"


class Web:
    """Makes requests; one object for each thread.

    Args:
        patience: limits.
        stopped: asked while a connection is waited for; true: do not wait any longer.
    """

    def __init__(self, patience: Patience, stopped: Callable[[], bool] = lambda: False) -> None:
        self.patience = patience
        self._stopped = stopped
        self._made: Optional[requests.Session] = None

    @contextlib.contextmanager
    def get(
        self, address: str, start: int = 0, validator: Optional[str] = None
    ) -> Iterator[Answer]:
        """Ask for the file at *address*, from byte *start* on.

        Args:
            address: http, https or file.
            start: where to go on; a server that cannot answers from 0.
            validator: go on only if the content is still this one, else from 0.

        Raises:
            Trouble: there is no answer, or none that is of use.
        """
        if urlsplit(address).scheme == "file":
            with _local(address, start, validator) as answer:
                yield answer
            return
        headers = {}
        if start:
            headers["Range"] = f"bytes={start}-"
            if validator:
                headers["If-Range"] = validator
        seen = set()
        with contextlib.ExitStack() as stack:
            while True:
                seen.add(address)
                parts = urlsplit(address)
                host = f"{parts.hostname}:{parts.port or parts.scheme}"
                stack.enter_context(connection_to(host, stopped=self._stopped))
                if self._stopped():
                    raise Passing("it is not wanted any more")
                response = self._send(address, headers)
                stack.callback(response.close)
                if response.status_code not in _REDIRECTS:
                    break
                address = _redirected(address, response.headers.get("Location"))
                if address in seen:
                    raise Refused("it redirects in a circle")
                if len(seen) > self.patience.redirects:
                    raise Refused(f"it redirects more than {self.patience.redirects} times")
                stack.close()
            yield self._answer(response, start, validator)

    def _send(self, address: str, headers: Mapping[str, str]) -> requests.Response:
        import requests

        try:
            return self._session().get(
                address,
                headers=dict(headers),
                stream=True,
                allow_redirects=False,
                timeout=(self.patience.connect, self.patience.read),
            )
        except requests.exceptions.SSLError as error:
            raise Refused(f"its certificate is not trusted ({plain(error)})") from None
        except (requests.ConnectionError, requests.Timeout) as error:
            raise Passing(plain(error)) from None
        except (requests.RequestException, ValueError) as error:
            raise Refused(plain(error)) from None

    def _session(self) -> requests.Session:
        if self._made is None:
            try:
                import requests
            except ImportError:
                raise EnvironmentUnfit(
                    "requests is not installed, which downloads need",
                    next_step="in bertkit's own directory (the clone): pip install '.[data]'; "
                    "files that are there already need no download: --from DIR",
                ) from None
            self._made = requests.Session()
            # Else it reads the whole body of a redirect, though it is not to follow it.
            self._made.get_redirect_target = lambda _response: None
            # A file's own bytes are wanted, whatever a server would like to wrap them in.
            self._made.headers.update(
                {"User-Agent": user_agent(), "Accept-Encoding": "identity", "Accept": "*/*"}
            )
        return self._made

    def _answer(self, response: requests.Response, start: int, validator: Optional[str]) -> Answer:
        status, headers = response.status_code, response.headers
        if status == 416 and start:
            raise WrongRange("416: it has no such part")
        if status not in (200, 206):
            reason = f"{status} {response.reason or ''}".strip()
            if status not in _PASSING:
                raise Refused(reason)
            wait = seconds_of(headers.get("Retry-After"))
            if wait is not None and wait > self.patience.longest_wait:
                raise Refused(f"{reason}, and asks to come back in {wait:.0f} s")
            raise Passing(reason, wait)
        if headers.get("Content-Encoding", "identity") != "identity":
            raise Refused(f"it sends {headers['Content-Encoding']}, which was not asked for")
        own = validator_of(headers)
        if status == 200:
            total = length_of(headers)
            return Answer(0, total, own, self._pieces(response, total))
        part = range_of(headers)
        if not start or not part or part.first != start or part.last < start:
            raise WrongRange(f"206 with Content-Range {headers.get('Content-Range')!r}")
        if validator and own and own != validator:
            raise WrongRange("the file changed since the first part came")
        pieces = self._pieces(response, part.last + 1 - start)
        return Answer(start, part.total, own or validator, pieces)

    def _pieces(self, response: requests.Response, length: Optional[int]) -> Iterator[bytes]:
        from urllib3.exceptions import HTTPError

        received = counted = 0
        window_ends = time.monotonic() + self.patience.window
        while length is None or received < length:
            try:
                # read1 gives what is there; read would wait for a whole piece, however slow.
                piece = response.raw.read1(_PIECE, decode_content=False)
            except (HTTPError, OSError, ValueError) as error:
                raise Passing(f"{plain(error)}, after {received:,} bytes") from None
            if not piece:
                break
            received += len(piece)
            yield piece
            if time.monotonic() > window_ends:
                if received - counted < self.patience.least_bytes:
                    raise Passing(
                        f"too slow: {received - counted:,} bytes in {self.patience.window:g} s"
                    )
                counted, window_ends = received, time.monotonic() + self.patience.window
        if length is not None and received < length:
            raise Passing(f"it closed the connection, after {received:,} bytes")


@contextlib.contextmanager
def _local(address: str, start: int, validator: Optional[str]) -> Iterator[Answer]:
    path = Path(unquote(urlsplit(address).path))
    try:
        with path.open("rb") as stream:
            found = os.fstat(stream.fileno())
            own = f"{found.st_size}-{found.st_mtime_ns}"
            begin = start if start <= found.st_size and validator in (None, own) else 0
            stream.seek(begin)
            pieces = iter(lambda: stream.read(_PIECE), b"")
            yield Answer(begin, found.st_size, own, pieces)
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        if error.filename != str(path):
            raise
        raise Refused(error.strerror or str(error)) from None


def _redirected(address: str, location: Optional[str]) -> str:
    if not location:
        raise Refused("it redirects to nowhere")
    try:
        target = urljoin(address, location)
        scheme = urlsplit(target).scheme
    except ValueError:
        raise Refused("it redirects to what is no address") from None
    if scheme != urlsplit(address).scheme and scheme != "https":
        raise Refused(f"it redirects to {shown(target)}, which is not followed")
    try:
        return checked(target)
    except UsageProblem as error:
        raise Refused(f"it redirects to {shown(target)}: {error.why}") from None

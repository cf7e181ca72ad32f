"""Files that others publish, and where each may be had."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional
from urllib.parse import quote, urlsplit, urlunsplit

from bertkit.errors import UsageProblem

#: what ``--from`` is when it is not given: a directory or a mirror of one's own
VARIABLE = "BERTKIT_MIRROR"

_CONTROL = re.compile(r"[\x00-\x20\x7f]")
_SCHEMES = ("http", "https", "file")


class Remote(NamedTuple):
    """A file that others publish.

    Attributes:
        place: its path below ``DATA/download``, and below a mirror with the same layout.
        addresses: where it may be had, the best first.
        sums: algorithm as hashlib names it -> hex digest, as published or long known.
        size: in bytes, where it is known.
        most_bytes: whatever is larger is something else.
    """

    place: str
    addresses: List[str]
    sums: Dict[str, str] = {}
    size: Optional[int] = None
    most_bytes: int = 1 << 30

    @property
    def name(self) -> str:
        """Its name without directories."""
        return self.place.rpartition("/")[2]


def addresses_of(remote: Remote, given: Optional[str] = None) -> List[str]:
    """The addresses to try in order: those below *given* if there is one, else the published ones.

    Args:
        remote: the file.
        given: what the user named with ``--from``: a directory, the file itself, or the URL of a
            mirror; below it the file lies by its place or by its bare name.

    Raises:
        UsageProblem: *given* is neither a place that is there nor an address that bertkit takes.
    """
    if given is None:
        return [checked(address) for address in remote.addresses]
    if "://" in given:
        base = checked(given).rstrip("/")
        if base.rpartition("/")[2] == quote(remote.name):
            return [base]
        found = [f"{base}/{quote(remote.place)}", f"{base}/{quote(remote.name)}"]
    else:
        path = Path(given).absolute()
        if not path.exists():
            raise UsageProblem("--from names nothing that is there", where=path)
        if path.is_file():
            return [path.as_uri()]
        found = [(path / remote.place).as_uri(), (path / remote.name).as_uri()]
    return list(dict.fromkeys(found))


def checked(address: str) -> str:
    """*address*, if bertkit talks to such.

    Raises:
        UsageProblem: another scheme than http, https and file, or credentials within.
    """
    try:
        parts = urlsplit(address)
        host, _port = parts.hostname, parts.port
    except ValueError:
        raise UsageProblem("this is no address", where=repr(address)) from None
    why = None
    if _CONTROL.search(address):
        why = "it has a space or a control character in it"
    elif parts.scheme not in _SCHEMES:
        why = "only http, https and file are taken"
    elif parts.username is not None or parts.password is not None:
        why = "credentials do not belong into an address; put them into ~/.netrc"
    elif (parts.scheme == "file") != (not host):
        why = "the host is missing" if parts.scheme != "file" else "a file has no host"
    if why:
        raise UsageProblem("bertkit takes no such address", where=shown(address), why=why)
    return address


def shown(address: str) -> str:
    """*address* as it may be printed: without credentials and without a query, which may hold some.

    >>> shown("https://user:word@example.org/a?token=1")
    'https://example.org/a'
    """
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "(an address that cannot be read)"
    if ":" in host:
        host = f"[{host}]"
    return urlunsplit((parts.scheme, f"{host}{port}", parts.path, "", ""))

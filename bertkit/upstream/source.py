"""Where the upstream repository is, and which addresses bertkit agrees to talk to.

Without a word from the user only ``https://github.com`` is contacted. Other ``https`` hosts,
``file://`` and plain paths are taken when the user names them: by option, environment variable or
``git config bertkit.upstream``.
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Mapping, Optional
from urllib.parse import unquote, urlsplit, urlunsplit

from bertkit.errors import UpstreamUnavailable

DEFAULT_URL = "https://github.com/HabanaAI/Model-References"
STANDIN = "standin"
VARIABLE = "BERTKIT_UPSTREAM"
CONFIG_KEY = "bertkit.upstream"

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SCP_LIKE = re.compile(r"[^/:]+@?[^/:]*:(?!//)")


@dataclass(frozen=True)
class Source:
    """An upstream repository.

    Attributes:
        url: an ``https`` or ``file`` URL without credentials, or ``standin``.
        given_by: how it was chosen, in words.
    """

    url: str
    given_by: str

    @property
    def is_standin(self) -> bool:
        """Whether this is bertkit's own look-alike instead of a repository."""
        return self.url == STANDIN

    @property
    def protocol(self) -> str:
        """What git may speak to reach it: ``https`` or ``file``."""
        return urlsplit(self.url).scheme


def resolve(
    option: Optional[str] = None, environment: Optional[Mapping[str, str]] = None
) -> Source:
    """The upstream to use: the option, else the variable, else git's configuration, else GitHub.

    Raises:
        UpstreamUnavailable: what was given is no address that bertkit talks to.
    """
    environment = os.environ if environment is None else environment
    if option is not None:
        return checked(option, "--upstream")
    if environment.get(VARIABLE):
        return checked(environment[VARIABLE], VARIABLE)
    configured = configured_url()
    if configured:
        return checked(configured, f"git config {CONFIG_KEY}")
    return Source(DEFAULT_URL, "default")


def configured_url() -> str:
    """What ``git config bertkit.upstream`` says here; empty if nothing, or if git is missing."""
    try:
        answer = subprocess.run(
            ["git", "config", "--get", CONFIG_KEY],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.decode("utf-8", "replace").strip()


def checked(text: str, given_by: str) -> Source:
    """*text* as a source.

    Args:
        text: ``standin``, an ``https`` or ``file`` URL, or the path of a repository.
        given_by: who says so, for messages.

    Raises:
        UpstreamUnavailable: a protocol, form or content that is refused, each in its own words.
    """
    if text == STANDIN:
        return Source(STANDIN, given_by)
    if not text or _CONTROL.search(text):
        raise _refused(text, given_by, "it is empty or has control characters in it")
    if text.startswith("-"):
        raise _refused(text, given_by, "it starts with a dash, which git would take for an option")
    if "::" in text.split("/", 1)[0]:
        raise _refused(text, given_by, "remote helpers (ext::, fd:: and the like) can run commands")
    if "://" in text:
        return Source(_checked_url(text, given_by), given_by)
    if Path(text).expanduser().is_dir():
        return Source(Path(text).expanduser().resolve().as_uri(), given_by)
    if _SCP_LIKE.match(text):
        raise _refused(text, given_by, "it names a host over ssh; only https and file:// are used")
    raise UpstreamUnavailable(
        "there is no upstream repository at this path",
        where=f"{redacted(text)} (from {given_by})",
        why="the directory does not exist",
        next_step="give an https:// or file:// URL, an existing path, or --upstream standin",
    )


def _checked_url(text: str, given_by: str) -> str:
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 - reading it checks it
    except ValueError:
        raise _refused(text, given_by, "it cannot be read as a URL") from None
    if parts.username is not None or parts.password is not None or "@" in parts.netloc:
        raise _refused(
            text,
            given_by,
            "it carries a user name or password, which would end up in files and logs; "
            "let git's credential helper supply them",
        )
    if parts.query or parts.fragment:
        raise _refused(text, given_by, "it has a query or a fragment, which may hold a secret")
    if _CONTROL.search(unquote(text)):
        raise _refused(text, given_by, "it has encoded control characters in it")
    scheme = parts.scheme.lower()
    if scheme == "file":
        if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
            raise _refused(text, given_by, "a file:// URL needs an absolute path and no host")
        return urlunsplit(("file", "", parts.path, "", ""))
    if scheme != "https":
        raise _refused(
            text, given_by, f"{scheme}:// is not used: only https and file:// are checked or local"
        )
    if not parts.hostname or parts.hostname.startswith("-"):
        raise _refused(text, given_by, "it names no host")
    return urlunsplit(("https", parts.netloc.lower(), parts.path, "", ""))


def redacted(text: str) -> str:
    """*text* fit to be printed: no credentials, no query, no control characters, not too long."""
    clean = _CONTROL.sub("?", text)
    clean = re.sub(r"(?<=//)[^/]*@", "***@", clean)
    clean = re.sub(r"^[^/@]*:[^/@]*@", "***@", clean)
    clean = re.sub(r"[?#].*", "", clean)
    return clean[:200]


def _refused(text: str, given_by: str, why: str) -> UpstreamUnavailable:
    return UpstreamUnavailable(
        "this upstream address is refused",
        where=f"{redacted(text)!r} (from {given_by})",
        why=why,
        next_step=f"--upstream {DEFAULT_URL}, another https:// URL, file:///PATH, or standin",
    )

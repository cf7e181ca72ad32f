"""What git says when a fetch fails, put into words that a user can act on.

The samples are of git 2.25 to 2.47 in the C locale, over https and over local files.
"""

from __future__ import annotations

import re
from typing import Optional, Tuple, Type

from bertkit.errors import (
    BertkitError,
    EnvironmentUnfit,
    UpstreamUnavailable,
    UpstreamUnreachable,
)
from bertkit.upstream.git import LIMIT_VARIABLE, lines_of
from bertkit.upstream.source import Source, redacted

_OFFLINE = "or, without a network: --upstream standin"

# (kind, pattern, what, next step). The first that matches wins: a cut connection is often followed
# by complaints about the half pack.
_KINDS: Tuple[Tuple[Type[UpstreamUnavailable], re.Pattern[str], str, str], ...] = (
    (
        UpstreamUnreachable,
        re.compile(r"Could not resolve (host|proxy)|name resolution|Name or service not known"),
        "the upstream server's name cannot be resolved: is there a network?",
        f"check the network, proxy and DNS of this machine or pod; {_OFFLINE}",
    ),
    (
        UpstreamUnreachable,
        re.compile(
            r"Failed to connect|Connection refused|Connection timed out|Network is unreachable"
            r"|No route to host|Couldn't connect"
            r"|CONNECT tunnel failed|from proxy after CONNECT|Proxy CONNECT aborted"
            r"|SSL_connect: (Connection reset|SSL_ERROR_SYSCALL)"
        ),
        "the upstream server does not answer",
        f"check the network and the proxy; {_OFFLINE}",
    ),
    (
        UpstreamUnavailable,
        re.compile(r"SSL certificate|certificate verif|SSL_ERROR|unable to get local issuer"),
        "the upstream server's certificate is not trusted",
        "set GIT_SSL_CAINFO to your site's certificate authority",
    ),
    (
        UpstreamUnavailable,
        re.compile(r"transport '.*' not allowed|protocol '.*' (is )?not (allowed|supported)"),
        "the upstream repository sends git to a protocol that is refused",
        "look for url.*.insteadOf in `git config --list`, or give the final https:// address",
    ),
    (
        UpstreamUnreachable,
        re.compile(r"Operation too slow|Operation timed out"),
        "the upstream server stopped sending",
        "run the same command again later, or choose another --upstream",
    ),
    (
        UpstreamUnavailable,
        re.compile(
            r"repository '.*' not found|does not appear to be a git repository"
            r"|is this a git repository|could not read (Username|Password)"
            r"|Authentication failed|repository '.*' does not exist"
            r"|requested URL returned error: 4\d\d|No such file or directory"
        ),
        "there is no upstream repository at this address, or it is not public",
        "check the address given with --upstream, BERTKIT_UPSTREAM or git config bertkit.upstream",
    ),
    (
        UpstreamUnavailable,
        re.compile(
            r"early EOF|unexpected disconnect|hung up unexpectedly|RPC failed|Empty reply"
            r"|transfer closed|invalid index-pack output|bad pack|expected flush|fetch-pack"
            r"|returned error: 5\d\d|protocol error|connection was (non-properly )?terminated"
            r"|Connection reset|Recv failure|Failure when receiving|GnuTLS recv error"
            r"|invalid server response"
        ),
        "the upstream server broke off in the middle",
        "run the same command again; nothing was changed",
    ),
)

_MISSING_BRANCH = re.compile(r"couldn't find remote ref|Remote branch .* not found")
_NOT_THERE = re.compile(r"not our ref|remote did not send all necessary")
_BRANCHES_ONLY = re.compile(r"unadvertised object")
_NO_SHALLOW = re.compile(r"dumb http transport does not support|does not support shallow")
_NO_SPACE = re.compile(r"No space left on device|Disk quota exceeded")


def is_missing_branch(message: str) -> bool:
    """Whether the repository lacks the branch that was asked for."""
    return _MISSING_BRANCH.search(message) is not None


def lacks_commit(message: str) -> bool:
    """Whether the repository does not have the commit that was asked for."""
    return _NOT_THERE.search(message) is not None


def gives_branches_only(message: str) -> bool:
    """Whether the server hands out the heads of branches, but no single commits or files."""
    return _BRANCHES_ONLY.search(message) is not None


def lacks_shallow(message: str) -> bool:
    """Whether the server can only give the whole history."""
    return _NO_SHALLOW.search(message) is not None


def explained(message: str, source: Source) -> BertkitError:
    """The error for what git said in *message* about *source*."""
    why = _summary(message)
    if _NO_SPACE.search(message):
        return EnvironmentUnfit(
            "the disk is full",
            why=why,
            next_step="free some space (a checkout takes about 2 MB), or choose another --dest",
        )
    for kind, pattern, what, next_step in _KINDS:
        if pattern.search(message):
            return kind(what, where=_place(source), why=why, next_step=next_step)
    return UpstreamUnavailable(
        "git could not fetch from upstream",
        where=_place(source),
        why=why,
        next_step="run the command again with -v, or choose another --upstream",
    )


def stalled(seconds: float, source: Source) -> BertkitError:
    """The error for a fetch that ran into the time limit."""
    return UpstreamUnreachable(
        "upstream did not finish in time and git was stopped",
        where=_place(source),
        why=f"the limit for one git command is {seconds:g} s",
        next_step=f"run it again, with {LIMIT_VARIABLE}=SECONDS for a slow network; {_OFFLINE}",
    )


def missing_branch(version: str, source: Source) -> BertkitError:
    """The error for a repository without the release's branch."""
    return UpstreamUnavailable(
        f"the upstream repository has no branch {version}",
        where=_place(source),
        why="the catalogue knows the release, this repository does not have it",
        next_step="use the full upstream repository, or update this copy of it",
    )


def without_bert(version: str, source: Source, commit: str) -> BertkitError:
    """The error for a branch that has lost TensorFlow BERT since it was catalogued."""
    return UpstreamUnavailable(
        f"branch {version} of this repository has no TensorFlow/nlp/bert",
        where=f"{_place(source)} at {commit[:12]}",
        why="its head is not the commit that the catalogue knows",
        next_step="bertkit upstream scan",
    )


def _place(source: Source) -> str:
    return f"{redacted(source.url)} (from {source.given_by})"


def _summary(message: str) -> Optional[str]:
    """git's most telling lines, at most two, without control characters or credentials."""
    lines = lines_of(message)
    telling = [line for line in lines if line.startswith(("fatal:", "error:"))] or lines[-1:]
    words = "; ".join(_redact_urls(line) for line in telling[:2])
    return words[:300] or None


def _redact_urls(line: str) -> str:
    printable = "".join(char if char.isprintable() else "?" for char in line)
    return re.sub(r"(?<=://)[^/\s'@]*@", "***@", printable)

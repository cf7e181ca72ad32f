"""A dated dump of a Wikipedia: which there is, and having it on disk.

The multistream dump and its index, as Wikimedia publishes them: many small bz2 streams one behind
the other, and where each begins. Below the data directory:

    download/WIKI/DATE/dump.json                                         what was chosen, with sums
    download/WIKI/DATE/WIKI-DATE-pages-articles-multistream.xml.bz2
    download/WIKI/DATE/WIKI-DATE-pages-articles-multistream-index.txt.bz2
"""

from __future__ import annotations

import json
import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Tuple
from urllib.parse import unquote, urlsplit

from bertkit.data.download import Fetched, Patience, Remote, fetch
from bertkit.data.download.remote import checked
from bertkit.data.download.small import read_small
from bertkit.data.layout import DataLayout
from bertkit.data.published.addresses import WIKIMEDIA
from bertkit.errors import DataDamaged, DownloadFailed, UsageProblem
from bertkit.files import write_json

log = logging.getLogger("bertkit.data")

# Large wikis are dumped in pieces that a second job puts together; small ones in one.
_JOBS = ("articlesmultistreamdumprecombine", "articlesmultistreamdump")
_KINDS = ("multistream.xml.bz2", "multistream-index.txt.bz2")
_WIKI = re.compile(r"[a-z][a-z0-9_]{1,30}wiki")
_DATE = re.compile(r"20\d{6}")
_LINK = re.compile(rb"""href=["']?(?:[^"'> ]*/)?(20\d{6})/["' >]""")
_SHA1 = re.compile(r"[0-9a-f]{40}")

_MOST_BYTES = {"multistream.xml.bz2": 200 << 30, "multistream-index.txt.bz2": 8 << 30}


@dataclass(frozen=True)
class DumpFiles:
    """A dump on disk, whole and checked.

    Attributes:
        dump: the pages, ``...-multistream.xml.bz2``.
        index: where each stream begins, ``...-multistream-index.txt.bz2``.
        date: the dump's, as ``YYYYMMDD``.
        sha1: of ``dump``, as published; None if it came from ``--from`` without published sums.
        sha256: of ``dump``.
        wiki: such as ``enwiki``.
    """

    dump: Path
    index: Path
    date: str
    sha1: Optional[str]
    sha256: str
    wiki: str


class _Published(NamedTuple):
    date: str
    files: Dict[str, Dict[str, Any]]  # name -> {"sha1": hex, "size": bytes}; empty: not known


def fetch_dump(
    layout: DataLayout,
    wiki: str = "enwiki",
    date: Optional[str] = None,
    *,
    given: Optional[str] = None,
    patience: Patience = Patience(),  # noqa: B008  (it cannot be changed)
) -> DumpFiles:
    """Have a dump below *layout*'s ``download``; does nothing but look if it is there.

    Args:
        layout: the data directory.
        wiki: such as ``enwiki`` or, to try things, ``simplewiki``.
        date: ``YYYYMMDD``; by default the one that is there or was begun, else the newest that is
            complete.
        given: ``--from``: a directory with the files, or a mirror.
        patience: how long to wait for servers.

    Raises:
        UsageProblem: *wiki*, *date* or *given* make no sense.
        DownloadFailed: it cannot be had.
        DataDamaged: what came is not what is published.
    """
    _check_names(wiki, date)
    home = layout.root / "download" / wiki
    published = _recalled(home, date) or _looked_up(wiki, date, given, patience)
    record = home / published.date / "dump.json"
    record.parent.mkdir(parents=True, exist_ok=True)
    if published != _recalled(home, published.date):
        write_json(record, {"wiki": wiki, "date": published.date, "files": published.files})
        log.info("the dump of %s from %s", wiki, published.date)
    # The small one first: what is wrong with an address shows early.
    have: Dict[str, Fetched] = {}
    for kind in reversed(_KINDS):
        remote = remote_of(wiki, published.date, kind, published.files)
        have[kind] = fetch(
            remote, layout.root / "download", given=given, patience=patience, check=_check_bz2
        )
    dump, index = (have[kind] for kind in _KINDS)
    sha1 = remote_of(wiki, published.date, _KINDS[0], published.files).sums.get("sha1")
    return DumpFiles(dump.path, index.path, published.date, sha1, dump.sha256, wiki)


def planned_dump(
    layout: DataLayout, wiki: str, date: Optional[str], *, given: Optional[str] = None
) -> Dict[str, Optional[str]]:
    """Which dump ``fetch_dump`` would have and from where, without asking anybody.

    Returns:
        ``wiki``, ``date`` (None: the newest complete one), ``directory`` and ``from``.
    """
    _check_names(wiki, date)
    home = layout.root / "download" / wiki
    known = _recalled(home, date)
    date = known.date if known else date
    directory = str(home / date) if date else None
    return {"wiki": wiki, "date": date, "directory": directory, "from": given or WIKIMEDIA[0]}


def _check_names(wiki: str, date: Optional[str]) -> None:
    if not _WIKI.fullmatch(wiki):
        raise UsageProblem(f"{wiki!r} is no wiki of Wikimedia's", next_step="such as enwiki")
    if date is not None and not _DATE.fullmatch(date):
        raise UsageProblem(f"{date!r} is no date of a dump", next_step="such as 20260101")


def remote_of(wiki: str, date: str, kind: str, files: Dict[str, Dict[str, Any]]) -> Remote:
    """One file of a dump; *files* is what is published about them."""
    name = f"{wiki}-{date}-pages-articles-{kind}"
    known = files.get(name, {})
    place = f"{wiki}/{date}/{name}"
    return Remote(
        place,
        [f"{mirror}/{place}" for mirror in WIKIMEDIA],
        {"sha1": known["sha1"]} if known else {},
        known.get("size"),
        _MOST_BYTES[kind],
    )


def _check_bz2(path: Path) -> None:
    with path.open("rb") as stream:
        if stream.read(3) != b"BZh":
            raise DataDamaged("it is not a bz2 file", where=path)


def _recalled(home: Path, date: Optional[str]) -> Optional[_Published]:
    """What an earlier run chose: of *date*, or by default the newest."""
    dates = [date] if date else sorted((path.name for path in home.glob("20*")), reverse=True)
    for each in dates:
        try:
            record = json.loads((home / each / "dump.json").read_text(encoding="utf-8"))
            dump = home / each / f"{home.name}-{each}-pages-articles-{_KINDS[0]}"
            # Begun without sums and not ended: elsewhere there may be sums to be had.
            if record["files"] or dump.exists():
                return _Published(record["date"], record["files"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return None


def _looked_up(
    wiki: str, date: Optional[str], given: Optional[str], patience: Patience
) -> _Published:
    local = _local_directory(given)
    if local is not None:
        return _found_in(local, wiki, date)
    mirrors = [checked(given).rstrip("/")] if given else list(WIKIMEDIA)
    asked = (
        f"the same command later; or say which date with --dump-date (see {mirrors[0]}/{wiki}/), "
        "or name a dump of your own: --dump FILE"
    )
    dates = [date] if date else _listed(mirrors, wiki, patience, asked)
    for each in dates:
        addresses = [f"{mirror}/{wiki}/{each}/dumpstatus.json" for mirror in mirrors]
        try:
            status = read_small(addresses, patience, next_step=asked)
        except DownloadFailed:
            if date or each == dates[-1]:
                raise
            continue
        files = complete_files(status, wiki, each)
        if files is not None:
            return _Published(each, files)
    raise DownloadFailed(
        f"no dump of {wiki} is complete"
        if date is None
        else f"that dump of {wiki} is not complete",
        where=f"{mirrors[0]}/{wiki}/",
        why=f"looked at {', '.join(dates)}",
        next_step="wait until it is, or give another date with --dump-date",
    )


def _listed(mirrors: List[str], wiki: str, patience: Patience, asked: str) -> List[str]:
    """The dates that a mirror lists, newest first."""
    listing = read_small([f"{mirror}/{wiki}/" for mirror in mirrors], patience, next_step=asked)
    dates = sorted({match.decode() for match in _LINK.findall(listing)}, reverse=True)
    if not dates:
        raise DownloadFailed(
            f"no dump of {wiki} is listed", where=f"{mirrors[0]}/{wiki}/", next_step=asked
        )
    return dates


def complete_files(status: bytes, wiki: str, date: str) -> Optional[Dict[str, Dict[str, Any]]]:
    """Size and SHA-1 of the multistream dump and its index, from the content of dumpstatus.json.

    Returns:
        None while they are not complete.

    Raises:
        DataDamaged: it is no such file.
    """
    names = [f"{wiki}-{date}-pages-articles-{kind}" for kind in _KINDS]
    try:
        jobs = json.loads(status.decode("utf-8"))["jobs"]
        for job in (jobs[name] for name in _JOBS if name in jobs):
            files = job.get("files") or {}
            if job["status"] == "done" and all(name in files for name in names):
                return {name: _described(files[name]) for name in names}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataDamaged(
            "dumpstatus.json is not what Wikimedia publishes",
            where=f"{wiki} {date}",
            why=f"{type(error).__name__}: {error}",
            next_step="run this again, or give another date with --dump-date",
        ) from None
    return None


def _described(entry: Dict[str, Any]) -> Dict[str, Any]:
    sha1, size = entry["sha1"], entry["size"]
    if not (isinstance(sha1, str) and _SHA1.fullmatch(sha1) and isinstance(size, int) and size > 0):
        raise ValueError(f"sha1 {sha1!r}, size {size!r}")
    return {"sha1": sha1, "size": size}


def _local_directory(given: Optional[str]) -> Optional[Path]:
    if given is None:
        return None
    if given.startswith("file://"):
        return Path(unquote(urlsplit(checked(given)).path))
    return None if "://" in given else Path(given)


def _found_in(directory: Path, wiki: str, date: Optional[str]) -> _Published:
    """The newest dump in a directory of the user's; its sums, if dumpstatus.json is there too."""
    pattern = f"{wiki}-{date or '20' + '[0-9]' * 6}-pages-articles-{_KINDS[0]}"
    found: List[Tuple[str, Path]] = [
        (path.name.split("-")[1], path.parent)
        for place in (".", f"{wiki}/*")
        for path in directory.glob(f"{place}/{pattern}")
    ]
    if not found:
        raise UsageProblem(
            f"--from has no dump of {wiki}",
            where=directory,
            why=f"there is no {pattern} in it or in {wiki}/DATE below it",
        )
    newest, place = max(found)
    try:
        files = complete_files((place / "dumpstatus.json").read_bytes(), wiki, newest)
    except FileNotFoundError:
        files = None
    if files is None:
        log.info("no published sums lie beside it: its content is pinned as it is")
    return _Published(newest, files or {})

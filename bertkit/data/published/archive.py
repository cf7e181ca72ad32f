"""Taking files out of a zip archive that somebody else made."""

from __future__ import annotations

import os
import re
import stat
import zipfile
import zlib
from pathlib import Path
from typing import Dict, Iterable, Iterator, List, Tuple

from bertkit.errors import DataDamaged

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_DRIVE = re.compile(r"[A-Za-z]:")
_MOST_MEMBERS = 1000
_PIECE = 1 << 20


def members_of(
    archive: Path, required: Iterable[str], optional: Iterable[str], *, most_bytes: int
) -> Dict[str, zipfile.ZipInfo]:
    """The files that are wanted from *archive*, by their bare names; they may lie in a directory.

    Args:
        archive: a zip.
        required: names without which it is of no use.
        optional: names to take as well.
        most_bytes: what all members may come to, unpacked.

    Raises:
        DataDamaged: it is no zip, lacks a name, or has a member that no honest archive has.
    """
    wanted = {*required, *optional}
    found: Dict[str, zipfile.ZipInfo] = {}
    try:
        with zipfile.ZipFile(str(archive)) as opened:
            members = opened.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise _unfit(archive, f"it is no zip that can be read ({error})") from None
    if len(members) > _MOST_MEMBERS:
        raise _unfit(archive, f"it has {len(members):,} members")
    total = sum(member.file_size for member in members)
    if total > most_bytes:
        raise _unfit(archive, f"it would unpack to {total:,} bytes, more than {most_bytes:,}")
    for member in members:
        why = _reason_against(member)
        if why:
            raise _unfit(archive, f"{member.filename[:80]!r} {why}")
        directory, _, name = member.filename.rpartition("/")
        if name in wanted and not directory.startswith("__MACOSX"):
            if name in found:
                raise _unfit(archive, f"it has two {name}")
            found[name] = member
    missing = [name for name in required if name not in found]
    if missing:
        raise _unfit(archive, f"it has no {', '.join(missing)}")
    return found


def unpack(archive: Path, members: Dict[str, zipfile.ZipInfo], output: Path) -> List[Path]:
    """Write *members* into the directory *output*, each under its bare name, and onto the disk.

    Raises:
        DataDamaged: a member is cut off or its checksum is not the archive's.
    """
    written = []
    for name, pieces in _contents(archive, members):
        path = output / name
        with path.open("xb") as target:
            for piece in pieces:
                target.write(piece)
            target.flush()
            os.fsync(target.fileno())
        written.append(path)
    return written


def read_through(archive: Path, members: Dict[str, zipfile.ZipInfo]) -> None:
    """Compare *members* with the archive's checksums.

    Raises:
        DataDamaged: a member is cut off or its checksum is not the archive's.
    """
    for _, pieces in _contents(archive, members):
        for _piece in pieces:
            pass


def _contents(
    archive: Path, members: Dict[str, zipfile.ZipInfo]
) -> Iterator[Tuple[str, Iterator[bytes]]]:
    with zipfile.ZipFile(str(archive)) as opened:
        for name, member in members.items():
            yield name, _pieces(archive, opened, name, member)


def _pieces(
    archive: Path, opened: zipfile.ZipFile, name: str, member: zipfile.ZipInfo
) -> Iterator[bytes]:
    left = member.file_size
    try:
        with opened.open(member) as source:
            for piece in iter(lambda: source.read(_PIECE), b""):
                left -= len(piece)
                if left < 0:
                    raise zipfile.BadZipFile("it is larger than it says")
                yield piece
        if left:
            raise zipfile.BadZipFile("it is cut off")
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise _unfit(archive, f"{name}: {error}") from None


def _reason_against(member: zipfile.ZipInfo) -> str:
    name, mode = member.filename, member.external_attr >> 16
    if _CONTROL.search(name) or "\\" in name or not name:
        return "is no name for a file"
    if name.startswith("/") or _DRIVE.match(name):
        return "is an absolute name"
    if ".." in name.split("/"):
        return "leads out of the archive"
    kind = stat.S_IFMT(mode)
    if kind and not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        return "is a link or a device"
    return "is encrypted" if member.flag_bits & 1 else ""


def _unfit(archive: Path, why: str) -> DataDamaged:
    return DataDamaged(
        "the archive is not one that bertkit unpacks",
        where=archive,
        why=why,
        next_step="fetch it again, or name another with --from",
    )

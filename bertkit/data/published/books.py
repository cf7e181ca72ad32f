"""Books of the user's own, in the place where upstream has BookCorpus.

Nobody publishes BookCorpus any more, and most of the addresses that scripts still try are dead. So
bertkit fetches none: it takes a directory of text files, or an archive of them, and counts what it
took and what it could not take.
"""

from __future__ import annotations

import hashlib
import logging
import lzma
import os
import tarfile
import zipfile
import zlib
from collections import Counter
from pathlib import Path
from typing import IO, Dict, Iterator, List, NamedTuple, Optional, Set, Tuple

from bertkit.data.download import Remote, fetch
from bertkit.data.download.progress import Progress
from bertkit.data.published.prepare import Asked, Prepared
from bertkit.data.stages.manifest import Stage, carry_out
from bertkit.errors import DataDamaged, UsageProblem
from bertkit.files import exclusive, sha256_of

log = logging.getLogger("bertkit.data")

_MOST_BYTES_OF_BOOK = 256 << 20
_MOST_BYTES_OF_ARCHIVE = 64 << 30
_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_NAMED = 5  # so many lost books are named in the log


class _Book(NamedTuple):
    name: str
    content: Optional[bytes]  # none if it is too large


def have_books(asked: Asked) -> Prepared:
    """One book a line, with an empty line after each, in upstream's place.

    Args:
        asked: ``given`` is a directory with ``.txt`` files, at any depth, or a zip or tar archive
            of them, here or at an address.

    Raises:
        UsageProblem: nothing is given, or something else.
        DownloadFailed, EnvironmentUnfit: the archive cannot be had.
        DataDamaged: there is no book in it, or the archive is damaged.
    """
    output = asked.layout.books
    given = asked.given
    if given is None:
        raise UsageProblem(
            "there is no address for books",
            why="BookCorpus is not published any more; training goes without it",
            next_step="text files of your own, or an archive of them: --from DIR|FILE|URL",
        )
    directory = Path(given)
    if asked.dry_run:
        return Prepared("books", output, "would be made", {}, {"books": given})
    if directory.is_dir():
        source, inputs = directory, {"books": _sum_of_files(directory)}
    else:
        archive = fetch(_remote(given), asked.downloads, given=given, patience=asked.patience)
        source, inputs = archive.path, {"books": archive.sha256}
    stage = Stage(
        "books", output, inputs, {"rules": 1}, lambda place: write_one_book_per_line(source, place)
    )
    with exclusive(asked.layout.lock, purpose=f"books in {asked.root}"):
        manifest, was_there = carry_out(stage, asked.layout)
    state = "was there" if was_there else "made"
    return Prepared("books", output, state, manifest.counts, {"books": given})


def write_one_book_per_line(source: Path, output: Path) -> Dict[str, int]:
    """Write the books of *source*, a directory or an archive, to the file *output*.

    As upstream's ``BookscorpusTextFormatting`` does: the lines of a book joined by spaces. Books
    that are empty, not UTF-8, the same as an earlier one or larger than 256 MB are left out.

    Returns:
        ``books`` and ``characters`` written, and ``lost_...`` for each reason.

    Raises:
        DataDamaged: there is no book, or the archive cannot be read to its end.
    """
    counts: Counter[str] = Counter(
        dict.fromkeys(("books", "characters", "lost_empty", "lost_not_utf8", "lost_twice",
                       "lost_too_large"), 0)
    )  # fmt: skip
    seen: Set[bytes] = set()
    with output.open("w", encoding="utf-8", newline="\n") as stream, Progress(
        "books", None, 0
    ) as progress:
        for book in _books_in(source):
            text, reason = _text_of(book, seen)
            if text is None:
                counts[f"lost_{reason}"] += 1
                if counts[f"lost_{reason}"] <= _NAMED:
                    log.info("left out, %s: %s", reason.replace("_", " "), book.name)
                continue
            stream.write(f"{text} \n\n")
            counts["books"] += 1
            counts["characters"] += len(text)
            progress.at(counts["characters"])
        stream.flush()
        os.fsync(stream.fileno())
    if not counts["books"]:
        lost = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
        raise DataDamaged(
            "there is no book to be read",
            where=source,
            why=lost.replace("_", " ") or "it has no .txt file",
            next_step="name a directory or an archive with text files in UTF-8",
        )
    return dict(counts)


def _text_of(book: _Book, seen: Set[bytes]) -> Tuple[Optional[str], str]:
    """A book's text in one line, or none and the reason."""
    if book.content is None:
        return None, "too_large"
    try:
        lines = book.content.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError:
        return None, "not_utf8"
    text = " ".join(line.strip() for line in lines if line.strip())
    if not text:
        return None, "empty"
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    if digest in seen:
        return None, "twice"
    seen.add(digest)
    return text, ""


def _books_in(source: Path) -> Iterator[_Book]:
    """The text files of a directory, in order of their names, or of an archive, in its order.

    Nothing is unpacked: whatever names an archive has, no file is made by them.
    """
    if source.is_dir():
        for path in _text_files(source):
            with path.open("rb") as stream:
                yield _read(str(path.relative_to(source)), stream)
        return
    try:
        yield from _books_of_zip(source) if _is_zip(source) else _books_of_tar(source)
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError,
            NotImplementedError, RuntimeError) as error:  # fmt: skip
        raise DataDamaged(
            "the archive of books cannot be read to its end",
            where=source,
            why=str(error) or type(error).__name__,
            next_step=f"fetch it again: remove it and {source.name}.pin.json, and run this again",
        ) from None


def _is_zip(source: Path) -> bool:
    return source.name.endswith(".zip")


def _books_of_zip(source: Path) -> Iterator[_Book]:
    with zipfile.ZipFile(str(source)) as archive:
        for member in archive.infolist():
            if member.filename.endswith(".txt"):
                with archive.open(member) as stream:
                    yield _read(member.filename, stream)


def _books_of_tar(source: Path) -> Iterator[_Book]:
    with tarfile.open(str(source)) as archive:
        for member in archive:
            if member.isreg() and member.name.endswith(".txt"):
                stream = archive.extractfile(member)
                assert stream is not None  # it is a file
                yield _read(member.name, stream)


def _read(name: str, stream: IO[bytes]) -> _Book:
    content = stream.read(_MOST_BYTES_OF_BOOK + 1)
    return _Book(name, None if len(content) > _MOST_BYTES_OF_BOOK else content)


def _text_files(directory: Path) -> List[Path]:
    return sorted(path for path in directory.rglob("*.txt") if path.is_file())


def _sum_of_files(directory: Path) -> str:
    """One sum over the names and contents of all text files."""
    digest = hashlib.sha256()
    for path in _text_files(directory):
        digest.update(f"{path.relative_to(directory)}\0{sha256_of(path)}\n".encode())
    return digest.hexdigest()


def _remote(given: str) -> Remote:
    name = given.rstrip("/").rpartition("/")[2]
    if not name.endswith(_ARCHIVES):
        raise UsageProblem(
            "--from is neither a directory nor an archive of books",
            where=given,
            why=f"archives end in {', '.join(_ARCHIVES)}",
        )
    return Remote(f"books/{name}", [], most_bytes=_MOST_BYTES_OF_ARCHIVE)

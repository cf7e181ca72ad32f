"""Reads all text of a data directory, and says which file is not as it should be."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple

from bertkit.data.layout import DataLayout
from bertkit.data.stages.manifest import Manifest, read_manifest
from bertkit.data.stages.progress import Progress
from bertkit.data.stages.workers import cores, in_processes
from bertkit.errors import DataDamaged

_Lines = Iterator[Tuple[int, str]]


class CheckedText(NamedTuple):
    """Text of one stage that is as it should be.

    Attributes:
        place: the stage's file or directory.
        stage: ``extracted``, ``articles`` or ``sentences``.
        files: how many there are.
        articles: or books.
        sentences: 0 where they are not told apart yet.
        compared_with: ``manifest``, or ``nothing`` where another tool left the text.
    """

    place: Path
    stage: str
    files: int
    articles: int
    sentences: int
    compared_with: str


class _Found(NamedTuple):
    sha256: str
    articles: int
    sentences: int


class _File(NamedTuple):
    path: Path
    stage: str
    strict: bool  # an article may not be empty; upstream's may


def verify_text(root: Path, workers: Optional[int] = None) -> List[CheckedText]:
    """Check the text of all stages and corpora below the data directory *root*.

    Files are UTF-8 and whole; articles have text, and an empty line after each; where there is a
    manifest, files, sums and counts are those that it tells.

    Raises:
        DataDamaged: with file, line and reason.
    """
    return [_verified(place, stage, workers or cores()) for place, stage in _places(root)]


def _places(root: Path) -> List[Tuple[Path, str]]:
    anything = DataLayout(root, "*")
    patterns = {
        "extracted": anything.extracted,
        "articles": anything.formatted.with_name("*.txt"),
        "sentences": anything.sharded,
    }
    return [
        (place, stage)
        for stage, pattern in patterns.items()
        for place in sorted(pattern.parent.glob(pattern.name))
        if place.is_dir() != (stage == "articles")
    ]


def _verified(place: Path, stage: str, workers: int) -> CheckedText:
    manifest = read_manifest(DataLayout.manifest(place))
    names = _names(place)
    if manifest is not None:
        _compare_names(place, names, manifest)
    progress = Progress(f"reading text of {place.name}", len(names))
    strict = manifest is not None and manifest.settings.get("engine") != "upstream"
    files = [_File(place / name, stage, strict) for name in names]
    articles = sentences = 0
    for name, found in zip(names, in_processes(_read, files, workers)):
        if manifest is not None and manifest.outputs[name]["sha256"] != found.sha256:
            raise _damaged(place / name, "its SHA-256 is not the one in the manifest")
        articles += found.articles
        sentences += found.sentences
        progress.more(1)
    progress.end()
    if manifest is not None:
        _compare_counts(place, {"articles": articles, "sentences": sentences}, manifest)
    compared_with = "nothing" if manifest is None else "manifest"
    return CheckedText(place, stage, len(files), articles, sentences, compared_with)


def _names(place: Path) -> List[str]:
    if place.is_file():
        return [""]
    return sorted(path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file())


def _compare_names(place: Path, names: List[str], manifest: Manifest) -> None:
    odd = sorted(set(names) ^ set(manifest.outputs))
    if odd:
        raise _damaged(
            place / odd[0],
            "it is missing" if odd[0] in manifest.outputs else "the manifest does not list it",
        )


def _compare_counts(place: Path, found: Dict[str, int], manifest: Manifest) -> None:
    for what, count in found.items():
        told = manifest.counts.get(what, count)
        if told != count:
            raise _damaged(place, f"it has {count:,} {what}, {told:,} by its manifest")


def _read(file: _File) -> _Found:
    digest = hashlib.sha256()
    try:
        articles, sentences = _RULES[file.stage](_lines(file.path, digest.update), file.strict)
    except ValueError as error:
        raise _damaged(file.path, str(error)) from None
    except OSError as error:
        raise _damaged(file.path, error.strerror or str(error)) from None
    return _Found(digest.hexdigest(), articles, sentences)


def _lines(path: Path, seen: Callable[[bytes], None]) -> _Lines:
    """The lines of a file with their numbers, from 1."""
    with path.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            seen(line)
            if not line.endswith(b"\n"):
                raise ValueError(f"line {number} does not end: the file is cut")
            try:
                yield number, line.decode("utf-8").strip()
            except UnicodeDecodeError as error:
                raise ValueError(f"line {number} is not UTF-8: {error.reason}") from None


def _documents(lines: _Lines, strict: bool) -> Tuple[int, int]:
    """WikiExtractor's form."""
    articles, begun = 0, 0
    for number, line in lines:
        if line.startswith("<doc "):
            if begun:
                raise ValueError(f"the document of line {begun} does not end before line {number}")
            begun = number
        elif line == "</doc>" and begun:
            articles, begun = articles + 1, 0
        elif line and not begun:
            raise ValueError(f"line {number} is in no document")
    if begun:
        raise ValueError(f"the document of line {begun} does not end")
    return articles, 0


def _one_a_line(lines: _Lines, strict: bool) -> Tuple[int, int]:
    """One article a line, an empty line after each."""
    articles, open_line = 0, 0
    for number, line in lines:
        if line and open_line:
            raise ValueError(f"there is no empty line between articles, before line {number}")
        if not line and not open_line and strict:
            raise ValueError(f"the article of line {number} is empty")
        articles += bool(line)
        open_line = number if line else 0
    if open_line:
        raise ValueError("there is no empty line behind its last article: the file is cut")
    return articles, 0


def _one_sentence_a_line(lines: _Lines, strict: bool) -> Tuple[int, int]:
    """One sentence a line, an empty line after each article."""
    articles = sentences = 0
    within = False
    for number, line in lines:
        if not line and not within and strict:
            raise ValueError(f"the article of line {number} is empty")
        articles += within and not line
        sentences += bool(line)
        within = bool(line)
    if within:
        raise ValueError("there is no empty line behind its last article: the file is cut")
    if strict and not articles:
        raise ValueError("it is empty")
    return articles, sentences


_RULES: Dict[str, Callable[[_Lines, bool], Tuple[int, int]]] = {
    "extracted": _documents,
    "articles": _one_a_line,
    "sentences": _one_sentence_a_line,
}


def _damaged(where: Path, why: str) -> DataDamaged:
    return DataDamaged(
        "text is not as it should be",
        where=where,
        why=why,
        next_step="run the command again that made it; `bertkit data status` names it",
    )

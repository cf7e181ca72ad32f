"""From WikiExtractor's files to one article a line, the form that upstream's sharding reads."""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Sequence

from bertkit.data.layout import DataLayout
from bertkit.data.stages.manifest import Manifest, Stage
from bertkit.errors import DataDamaged


def format_stage(layout: DataLayout, extracted: Manifest) -> Stage:
    """The stage that puts each extracted article into one line."""
    names = sorted(extracted.outputs)
    return Stage(
        "articles",
        layout.formatted,
        {"extracted": extracted.fingerprint},
        {"rules": 1},
        lambda place: write_formatted(layout.extracted, names, place),
    )


def write_formatted(extracted: Path, names: Sequence[str], output: Path) -> Dict[str, int]:
    """One article a line and an empty line after each, from WikiExtractor's files, in order.

    Raises:
        DataDamaged: there is no article.
    """
    count = characters = without = 0
    with output.open("w", encoding="utf-8", newline="\n") as stream:
        for name in names:
            for text in _docs(extracted / name):
                if not text:
                    without += 1
                    continue
                stream.write(f"{text}\n\n")
                count += 1
                characters += len(text)
        stream.flush()
        os.fsync(stream.fileno())
    if not count:
        raise DataDamaged(
            "there is no article", where=extracted,
            why="no page of the dump had text that is prose", next_step="give another dump",
        )  # fmt: skip
    return {"articles": count, "characters": characters, "without_text": without}


def _docs(path: Path) -> Iterator[str]:
    """Each document's text without its title, in one line; maybe empty."""
    lines: Optional[List[str]] = None
    with path.open(encoding="utf-8", newline="\n") as stream:
        for line in stream:
            if line.startswith("<doc "):
                lines = []
            elif line.startswith("</doc>") and lines is not None:
                yield " ".join(islice((each for each in lines if each), 1, None))
                lines = None
            elif lines is not None:
                lines.append(line.strip())

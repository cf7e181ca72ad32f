"""How stages of data are shown: tables for people, and rows for ``--json``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Sequence

import click

if TYPE_CHECKING:
    from bertkit.data.stages.pipeline import Done


def print_stages(results: Sequence[Done], root: Path) -> None:
    """A line for each stage: how it stands, what it counts, where it lies below *root*."""
    print_table(
        ["stage", "state", "counts", "where"],
        [
            [done.stage, done.state, told(done.counts), str(done.output.relative_to(root))]
            for done in results
        ],
    )


def as_rows(results: Sequence[Done]) -> List[Dict[str, Any]]:
    """The same as JSON values."""
    return [{**done._asdict(), "output": str(done.output)} for done in results]


def told(counts: Mapping[str, int]) -> str:
    """Counts in words, without those of nothing."""
    return ", ".join(
        f"{count:,} {what.replace('_', ' ')}" for what, count in counts.items() if count
    )


def size(count: int) -> str:
    """Bytes in words, with two or three digits; nothing for none."""
    if not count:
        return ""
    number, unit = float(count), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if number < 999.5:
            break
        number, unit = number / 1000, larger
    return f"{number:.1f} {unit}" if number < 9.95 and unit != "bytes" else f"{number:.0f} {unit}"


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns as wide as they must be."""
    widths = [max(len(row[i]) for row in [list(header), *rows]) for i in range(len(header))]
    for row in [list(header), *rows]:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())

"""What a benchmark found, for people and as JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import List, Tuple


@dataclass
class Table:
    """Columns with headings, a row for each thing measured, and how it was measured."""

    title: str
    headings: Tuple[str, ...] = ()
    rows: List[Tuple[str, ...]] = field(default_factory=list)
    notes: List[str] = field(default_factory=list)

    def text(self) -> str:
        """As lines of text; numbers (every column but the first) stand right."""
        lines = [self.title, ""]
        if self.rows:
            shown = [self.headings, *self.rows]
            widths = [max(len(row[n]) for row in shown) for n in range(len(self.headings))]
            for row in shown:
                cells = [row[0].ljust(widths[0])]
                cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
                lines.append("  " + "  ".join(cells))
        lines += ["", *(f"  {note}" for note in self.notes), ""]
        return "\n".join(lines)

"""Says why a patch does not fit: which hunk, what was expected, what is there, what to do."""

from __future__ import annotations

import difflib
from dataclasses import asdict, dataclass
from typing import Dict, List, Optional, Sequence, Set, Tuple

from bertkit.errors import PatchMisfit
from bertkit.patching.diffs import Diff, Hunk, split_lines
from bertkit.patching.model import Target

_SHOWN_LINES = 6
_SHOWN_EDIT_LINES = 60


@dataclass(frozen=True)
class HunkReport:
    """One hunk held against a file; line numbers count from 1.

    Attributes:
        number: which hunk of the diff, from 1.
        of: how many it has.
        line: where the hunk expects its first line.
        fits: the expected lines are exactly there.
        expected: the lines that the diff was made for.
        found: the lines that are there.
        nearest: the first line of the nearest place where it would fit, if there is one.
        already: the new lines are in the file, and the old ones are not.
    """

    number: int
    of: int
    line: int
    fits: bool
    expected: Tuple[str, ...]
    found: Tuple[str, ...]
    nearest: Optional[int]
    already: bool


@dataclass(frozen=True)
class Conflict:
    """Why one patch cannot be applied to, or undone from, one file.

    Attributes:
        patch: its id.
        path: the file.
        state: the state that the file is in.
        release: what the tree is.
        made_for: the releases that the nearest diff was made for.
        reason: one sentence.
        hunks: the nearest diff's hunks held against the file; empty if that says nothing.
        edit: what someone changed by hand and would lose, as a diff; empty if nothing.
        next_step: the command to run next.
    """

    patch: str
    path: str
    state: str
    release: str
    made_for: str
    reason: str
    hunks: Tuple[HunkReport, ...] = ()
    edit: str = ""
    next_step: str = ""

    def lines(self, *, with_edit: bool = True) -> List[str]:
        """The report as people read it."""
        text = [f"{self.patch}: {self.path}: {self.state}: {self.reason}"]
        if self.made_for:
            text.append(f"  this tree is {self.release}; the diff was made for {self.made_for}")
        for hunk in self.hunks:
            text += _hunk_lines(hunk)
        if self.edit and with_edit:
            edit = self.edit.split("\n")[:-1]
            text.append("  changed by hand, and kept:")
            text += [f"    {_plain(line)}" for line in edit[:_SHOWN_EDIT_LINES]]
            if len(edit) > _SHOWN_EDIT_LINES:
                text.append(f"    ... {len(edit) - _SHOWN_EDIT_LINES} more lines (--json has all)")
        if self.next_step:
            text.append(f"  next: {self.next_step}")
        return text


class PatchConflict(PatchMisfit):
    """Some patches do not fit: carries all :attr:`conflicts`, not only the first."""

    def __init__(self, what: str, conflicts: Sequence[Conflict], *, where: object) -> None:
        super().__init__(what, where=where)
        self.conflicts = tuple(conflicts)

    def __str__(self) -> str:
        lines = [super().__str__()]
        shown: Set[str] = set()
        for conflict in self.conflicts:
            lines += conflict.lines(with_edit=conflict.path not in shown)
            shown.add(conflict.path)
        return "\n".join(lines)

    def as_dict(self) -> Dict[str, object]:
        """The error and every conflict, for ``--json``."""
        return {**super().as_dict(), "conflicts": [asdict(each) for each in self.conflicts]}


def nearest_diff(target: Target, content: bytes) -> Optional[Tuple[str, Diff]]:
    """The diff of *target* that comes closest to fitting *content*, and what it was made for."""
    best: Optional[Tuple[int, str, Diff]] = None
    for image in target.images.values():
        try:
            diff = image.read(target.path)
        except PatchMisfit:
            continue  # a damaged diff explains nothing
        distance = sum(
            0 if report.fits else 1 if report.nearest or report.already else 10
            for report in hold_against(diff, content)
        )
        if best is None or distance < best[0]:
            best = (distance, image.seen_in, diff)
    return None if best is None else best[1:]


def hold_against(diff: Diff, content: bytes) -> Tuple[HunkReport, ...]:
    """Compare each hunk of *diff* with *content*."""
    lines = split_lines(content)
    return tuple(
        _hold(hunk, number, len(diff.hunks), lines) for number, hunk in enumerate(diff.hunks, 1)
    )


def edit_between(expected: bytes, actual: bytes, path: str) -> str:
    """What a hand edit changed, as a unified diff."""
    before, after = (
        [line.decode("utf-8", "replace") for line in split_lines(content)]
        for content in (expected, actual)
    )
    lines = difflib.unified_diff(before, after, f"a/{path}", f"b/{path}")
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )


def _hold(hunk: Hunk, number: int, of: int, lines: List[bytes]) -> HunkReport:
    found = tuple(lines[hunk.offset : hunk.offset + len(hunk.old)])
    fits = found == hunk.old
    nearest = hunk.offset if fits else _nearest(lines, hunk.old, hunk.offset)
    in_place = _nearest(lines, hunk.new, hunk.new_offset)
    return HunkReport(
        number=number,
        of=of,
        line=hunk.offset + 1,
        fits=fits,
        expected=_shown(hunk.old),
        found=_shown(found),
        nearest=None if nearest is None else nearest + 1,
        already=nearest is None and in_place is not None,
    )


def _nearest(lines: List[bytes], wanted: Tuple[bytes, ...], near: int) -> Optional[int]:
    """Where *wanted* stands in *lines*, as near as possible to the index *near*."""
    if not wanted:
        return None
    places = [
        at
        for at in range(len(lines) - len(wanted) + 1)
        if lines[at] == wanted[0] and tuple(lines[at : at + len(wanted)]) == wanted
    ]
    return min(places, key=lambda at: abs(at - near)) if places else None


def _shown(lines: Sequence[bytes]) -> Tuple[str, ...]:
    """Lines for a terminal: foreign control characters are spelled out, ends are dropped."""
    return tuple(_plain(line.rstrip(b"\n").decode("utf-8", "replace")) for line in lines)


def _plain(text: str) -> str:
    return "".join(c if c.isprintable() or c == "\t" else repr(c)[1:-1] for c in text)


def _hunk_lines(hunk: HunkReport) -> List[str]:
    head = f"  hunk {hunk.number} of {hunk.of}, line {hunk.line}"
    if hunk.fits:
        return [f"{head}: fits"]
    if hunk.already:
        return [f"{head}: the change is already there"]
    if hunk.nearest is not None:
        return [f"{head}: does not fit here; it would at line {hunk.nearest}"]
    text = [f"{head}: fits nowhere"]
    first = _first_difference(hunk)
    for label, lines in (("expected", hunk.expected), ("found", hunk.found)):
        text.append(f"    {label}:")
        piece = lines[first : first + _SHOWN_LINES]
        text += [f"      {hunk.line + first + at:5} | {line}" for at, line in enumerate(piece)]
        if not piece:
            text.append("      (the file ends before)")
    return text


def _first_difference(hunk: HunkReport) -> int:
    """Leave out the lines that agree, but for one before the first that does not."""
    for at, (expected, found) in enumerate(zip(hunk.expected, hunk.found)):
        if expected != found:
            return max(0, at - 1)
    return max(0, min(len(hunk.expected), len(hunk.found)) - 1)

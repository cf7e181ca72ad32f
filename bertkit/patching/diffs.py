"""Unified diffs as bertkit accepts them: one plain file, exact lines, nothing else.

unidiff reads the hunks. It does not check paths, reads garbage as an empty set, and splits lines
where git does not if it is given text; so the bytes are split on ``\\n`` only, the header lines
are checked here one by one, and what was read must give the same bytes when it is written again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, List, Optional, Sequence, Tuple

from bertkit.blobs import blob_id
from bertkit.errors import PatchMisfit
from bertkit.patching.paths import path_problem

MAX_BYTES = 1 << 20
MODES = ("100644", "100755")

_INDEX = re.compile(r"index ([0-9a-f]{40})\.\.([0-9a-f]{40}) ([0-9]{6})")
_SHORT_HUNK = re.compile(r"^@@ -([0-9]+)(,[0-9]+)? \+([0-9]+)(,[0-9]+)? @@", re.MULTILINE)
_KINDS = {
    "rename ": "renames a file",
    "copy ": "copies a file",
    "similarity ": "renames or copies a file",
    "dissimilarity ": "rewrites a file",
    "new file ": "makes a new file",
    "deleted file ": "deletes a file",
    "old mode ": "changes a file's mode",
    "new mode ": "changes a file's mode",
    "GIT binary patch": "is binary",
    "Binary files ": "is binary",
}


@dataclass(frozen=True)
class Hunk:
    """A run of lines and what takes its place; lines keep their ends.

    Attributes:
        start: number of the first old line, from 1; with no old lines, the line before.
        new_start: the same for the new lines.
        old: the lines that must be there.
        new: the lines that take their place.
    """

    start: int
    new_start: int
    old: Tuple[bytes, ...]
    new: Tuple[bytes, ...]

    @property
    def offset(self) -> int:
        """Index (from 0) of the first old line in the list of the file's lines."""
        return self.start - 1 if self.old else self.start

    @property
    def new_offset(self) -> int:
        """The same for the first new line."""
        return self.new_start - 1 if self.new else self.new_start


@dataclass(frozen=True)
class Diff:
    """One file's change from the blob *pre* to the blob *post*."""

    path: str
    pre: str
    post: str
    mode: str
    hunks: Tuple[Hunk, ...]

    def apply(self, content: bytes) -> bytes:
        """The post-image of *content*.

        Raises:
            PatchMisfit: a hunk does not match exactly at its line, or the result is not *post*.
        """
        return self._replace(content, back=False)

    def unapply(self, content: bytes) -> bytes:
        """The pre-image of *content*; raises like :meth:`apply`."""
        return self._replace(content, back=True)

    def _replace(self, content: bytes, *, back: bool) -> bytes:
        lines = split_lines(content)
        result: List[bytes] = []
        done = 0
        for number, hunk in enumerate(self.hunks, 1):
            old, new = (hunk.new, hunk.old) if back else (hunk.old, hunk.new)
            at = hunk.new_offset if back else hunk.offset
            if tuple(lines[at : at + len(old)]) != old:
                raise PatchMisfit(
                    f"hunk {number} of {len(self.hunks)} does not match at line {at + 1}",
                    where=self.path,
                )
            result += lines[done:at]
            result += new
            done = at + len(old)
        changed = b"".join(result + lines[done:])
        wanted = self.pre if back else self.post
        if blob_id(changed) != wanted:
            raise PatchMisfit(
                f"the result would be {blob_id(changed)[:12]}, not {wanted[:12]}", where=self.path
            )
        return changed


def split_lines(content: bytes) -> List[bytes]:
    """The lines of *content* with their ends; only ``\\n`` ends a line."""
    pieces = content.split(b"\n")
    lines = [piece + b"\n" for piece in pieces[:-1]]
    if pieces[-1]:
        lines.append(pieces[-1])
    return lines


def parse_diff(raw: bytes, *, where: object) -> Diff:
    """Read the diff of one file.

    The form is that of ``git diff --full-index`` for a changed plain file: ``diff --git``,
    ``index PRE..POST MODE``, ``---``, ``+++``, hunks.

    Raises:
        PatchMisfit: it is anything else; *where* names the diff.
    """
    if len(raw) > MAX_BYTES:
        raise _refused(where, f"it is larger than {MAX_BYTES} bytes")
    if not raw.strip():
        raise _refused(where, "it is empty")
    # latin-1 gives each byte one character, so that nothing is lost or changed on the way.
    lines = [line.decode("latin-1") for line in split_lines(raw)]
    path, pre, post, mode = _read_header(lines, where)
    hunks = _read_hunks(lines, where)
    return Diff(path=path, pre=pre, post=post, mode=mode, hunks=hunks)


def _read_header(lines: Sequence[str], where: object) -> Tuple[str, str, str, str]:
    head: List[str] = []
    for line in lines:
        if line.startswith("@@"):
            break
        if head and line.startswith("diff --git "):
            raise _refused(where, "it changes more than one file")
        head.append(line.rstrip("\n"))
    if not head or not head[0].startswith("diff --git "):
        raise _refused(where, "it does not begin with 'diff --git': this is no diff")
    if head[0].endswith("\r"):
        raise _refused(where, "its own lines end in CR LF")
    for line in head[1:]:
        for start, kind in _KINDS.items():
            if line.startswith(start):
                raise _refused(where, _with_mode(f"it {kind}", line))
        if line.startswith(("--- /dev/null", "+++ /dev/null")):
            raise _refused(where, "it makes or deletes a file")
    names = _names(head, where)
    for name in names:
        problem = path_problem(_decoded(name, where))
        if problem:
            raise _refused(where, f"{problem}: {name[:200]!r}")
    if len(head) != 4:
        if len(lines) == len(head):
            raise _refused(where, "it has no hunks")
        raise _refused(where, "its header is not the four lines diff, index, ---, +++")
    match = _INDEX.fullmatch(head[1])
    if match is None:
        raise _refused(where, "line 2 is not 'index PRE..POST MODE' with full blob ids")
    pre, post, mode = match.groups()
    if mode not in MODES:
        raise _refused(where, _with_mode("it changes something that is no plain file", head[1]))
    if len(set(names)) != 1 or len(names) != 3:
        raise _refused(where, "its header names more than one path")
    if len(lines) == len(head):
        raise _refused(where, "it has no hunks")
    return _decoded(names[0], where), pre, post, mode


def _names(head: Sequence[str], where: object) -> List[str]:
    """Every path that the header names, less the ``a/`` and ``b/``."""
    found = []
    both = head[0][len("diff --git ") :]
    # 'a/X b/X': the two halves are alike, so the middle is known whatever X holds.
    middle = len(both) // 2
    left, right = both[:middle], both[middle + 1 :]
    if not (left.startswith("a/") and right.startswith("b/") and left[2:] == right[2:]):
        # Find what is wrong with the names themselves before complaining about the form.
        for piece in re.split(r" (?=b/|/|\")", both, maxsplit=1):
            name = piece[2:] if piece.startswith(("a/", "b/")) else piece
            problem = path_problem(name)
            if problem:
                raise _refused(where, f"{problem}: {name[:200]!r}")
        raise _refused(where, "line 1 is not 'diff --git a/PATH b/PATH' with one path")
    found.append(left[2:])
    for line in head[1:]:
        for start, prefix in (("--- ", "a/"), ("+++ ", "b/")):
            if line.startswith(start):
                name = line[len(start) :]
                found.append(name[2:] if name.startswith(prefix) else name)
                problem = path_problem(found[-1])
                if not name.startswith(prefix) and not problem:
                    raise _refused(where, f"a path without {prefix}: {name[:200]!r}")
    return found


def _decoded(name: str, where: object) -> str:
    try:
        return name.encode("latin-1").decode("utf-8")
    except UnicodeDecodeError:
        raise _refused(where, f"the path is not UTF-8: {name[:200]!r}") from None


def _with_mode(words: str, line: str) -> str:
    for mode, kind in (("120000", "a symbolic link"), ("160000", "a submodule")):
        if mode in line:
            return f"{words}: {kind} (mode {mode})"
    return words if "mode" not in line else f"{words} ({line[:60]})"


def _read_hunks(lines: List[str], where: object) -> Tuple[Hunk, ...]:
    import unidiff

    if not lines[-1].endswith("\n"):
        raise _refused(where, "it is cut off: its last line has no end")
    try:
        patch = unidiff.PatchSet(iter(lines))
        again = str(patch)
    except Exception as error:  # unidiff raises more than its own error on hostile input
        why = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise _refused(where, f"its hunks cannot be read: {why}") from None
    if len(patch) > 1:
        raise _refused(where, "it changes more than one file")
    if len(patch) != 1 or not patch[0]:
        raise _refused(where, "it has no hunks that can be read")
    text = "".join(lines)
    if _SHORT_HUNK.sub(_long_form, text) != again:
        raise _refused(where, "there is text in it that belongs to no hunk, or it is cut off")
    hunks = tuple(_hunk(found, where) for found in patch[0])
    shift = end = 0
    for number, hunk in enumerate(hunks, 1):
        if hunk.old == hunk.new:
            raise _refused(where, f"hunk {number} changes nothing")
        if hunk.offset < end or hunk.new_offset - hunk.offset != shift:
            raise _refused(where, f"hunk {number} has line numbers that cannot be")
        end = hunk.offset + len(hunk.old)
        shift += len(hunk.new) - len(hunk.old)
    return hunks


def _hunk(found: Any, where: object) -> Hunk:
    """One of unidiff's hunks as bytes."""
    old: List[bytes] = []
    new: List[bytes] = []
    last: Optional[str] = None
    for line in found:
        if line.line_type == "\\":
            # The line before has no newline at its end.
            for side, types in ((old, " -"), (new, " +")):
                if last is not None and last in types and side:
                    side[-1] = side[-1].rstrip(b"\n")
            continue
        value = line.value.encode("latin-1")
        if line.line_type in " -":
            old.append(value)
        if line.line_type in " +":
            new.append(value)
        last = line.line_type
    # unidiff adds empty lines that follow a hunk to it.
    if (len(old), len(new)) != (found.source_length, found.target_length):
        raise _refused(where, "there is an empty line in it that belongs to no hunk")
    for side in (old, new):
        if any(not line.endswith(b"\n") for line in side[:-1]):
            raise _refused(where, "a line without a newline is not the last of its file")
    return Hunk(
        start=found.source_start, new_start=found.target_start, old=tuple(old), new=tuple(new)
    )


def _long_form(match: re.Match[str]) -> str:
    """``@@ -5 +5 @@`` as unidiff writes it: with the lengths."""
    old, old_length, new, new_length = match.groups()
    return f"@@ -{int(old)}{old_length or ',1'} +{int(new)}{new_length or ',1'} @@"


def _refused(where: object, why: str) -> PatchMisfit:
    return PatchMisfit(
        "this diff is refused",
        where=where,
        why=why,
        next_step="nothing was written; put the diff right, or reinstall bertkit",
    )

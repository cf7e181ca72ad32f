"""Of a rank's log the lines that tell why it failed, without what TensorFlow says in every run."""

from __future__ import annotations

import re
from typing import Iterator, List, Optional, Sequence

# Said by every run, whatever becomes of it. TensorFlow's advice stands on the line after its head,
# a warning of Python's has the line that it is about below it, carets point into the line above.
_DEPRECATED = re.compile(r"WARNING:tensorflow:From .* is deprecated and will be removed")
_ADVICE = "Instructions for updating:"
_WARNING = re.compile(r"\S+\.py:\d+: \w*Warning: ")
_CARETS = re.compile(r"\s*[~^]+$")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+: ")
_NATIVE_NOTE = re.compile(_MOMENT.pattern + "I |To enable the following instructions: ")
# Where a node of the graph was made: the same frames twice more, around TensorFlow's own words.
_MADE_AT = re.compile(r"Original stack trace for |Detected at node .*\(most recent call last\):$")
_FRAME = re.compile(r'  File "(?P<file>[^"]+)", line \d+')
_LIBRARY = re.compile(r"/(site|dist)-packages/|^<frozen ")
# How far a run has got is no reason for its end.
_PROGRESS = re.compile(r"INFO:|DLL \d{4}-|Skipping time record")
# "ValueError: ...", "Unknown command line flag 'x'", "...: error: ..."
_ERROR = re.compile(r"\b\w*(Error|Exception)\b:|\bUnknown command line flag\b|\berror:", re.ASCII)


def excerpt(lines: Sequence[str], most: int) -> List[str]:
    """The last *most* of *lines* that matter.

    What is said again and again is kept once; of a traceback those frames are left out that are a
    library's, but for the innermost.
    """
    return list(_without_library_frames(list(_without_noise(lines))))[-most:]


def error_in(lines: Sequence[str]) -> Optional[str]:
    """The last of *lines* that speaks of an error, if one does."""
    errors = [line.strip()[:300] for line in lines if _ERROR.search(line)]
    # "DataLossError: Graph execution error:" has its words elsewhere.
    errors = [line for line in errors if not line.endswith(":")] or errors
    return errors[-1] if errors else None


def telling(lines: Sequence[str]) -> Optional[str]:
    """Of *lines* the one that says most: the last that speaks of an error, else the last one.

    None if that one only says how far the run is, as where a rank was killed.
    """
    error = error_in(lines)
    last = next(reversed(list(_without_noise(lines))), None)
    if error is not None or last is None or _PROGRESS.match(last):
        return error
    return last.strip()[:300]


def _without_noise(lines: Sequence[str]) -> Iterator[str]:
    advice = code = made_at = False
    last = None
    for line in lines:
        if advice or ((code or made_at) and line.startswith("  ")):
            advice = code = False
            continue
        advice, code = line == _ADVICE, _WARNING.match(line) is not None
        made_at = _MADE_AT.match(line) is not None
        known = (_DEPRECATED, _CARETS, _NATIVE_NOTE)
        said = _MOMENT.sub("", line)
        if not (advice or code or made_at or said == last or any(k.match(line) for k in known)):
            last = said
            yield line


def _without_library_frames(lines: Sequence[str]) -> Iterator[str]:
    # A frame is its place and, more indented, the line of code.
    parts: List[List[str]] = []
    for line in lines:
        if parts and _FRAME.match(parts[-1][0]) and line.startswith("    "):
            parts[-1].append(line)
        else:
            parts.append([line])
    for part, after in zip(parts, [*parts[1:], [""]]):
        frame = _FRAME.match(part[0])
        if frame is None or not _LIBRARY.search(frame["file"]) or not _FRAME.match(after[0]):
            yield from part

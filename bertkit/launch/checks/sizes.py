"""Whether the data's files are as long as when they were made: bertkit's manifests say how long.

Beside each result ``DIR`` of a data command stands ``DIR.manifest.json``, whose ``outputs`` name
the files below ``DIR`` with their bytes. Only sizes are looked at, in milliseconds also for
thousands of files; ``bertkit data verify`` reads what is in them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Tuple

#: characters of a manifest; Wikipedia's has some thousand files
_MOST = 64 << 20


class Unlike(NamedTuple):
    """A file that is not as it was made: *found* is None where it is not there any more."""

    file: Path
    made: int
    found: Optional[int]

    def __str__(self) -> str:
        found = "not there" if self.found is None else f"{self.found:,} bytes"
        return f"{found}; {self.made:,} bytes when it was made"


def unlike(path: Path, data: Path) -> List[Unlike]:
    """The files at or below *path* that are not as long as when they were made.

    Args:
        path: a file or directory that a job needs.
        data: the data directory; what no manifest in it speaks of is not judged.
    """
    result, sizes = _made(path, data)
    if result is None:
        return []
    wrong = []
    for name, made in sorted(sizes.items()):
        file = result / name if name else result
        if file != path and path not in file.parents:
            continue
        try:
            found: Optional[int] = file.stat().st_size
        except OSError:
            found = None
        if found != made:
            wrong.append(Unlike(file, made, found))
    return wrong


def _made(path: Path, data: Path) -> Tuple[Optional[Path], Dict[str, int]]:
    """The result that *path* belongs to, and the bytes of its files by name."""
    for result in (path, *path.parents):
        if data not in result.parents:
            break
        manifest = result.parent / f"{result.name}.manifest.json"
        try:
            if manifest.stat().st_size > _MOST:
                break
            outputs = json.loads(manifest.read_text(encoding="utf-8"))["outputs"]
            return result, {str(name): int(each["bytes"]) for name, each in outputs.items()}
        except FileNotFoundError:
            continue
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            break  # not one of bertkit's
    return None, {}

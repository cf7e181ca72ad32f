"""The maintainer's tool makes a diff from an edited file and writes the index."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bertkit.patching import apply_series
from tests.patching.builder import RELEASE, Workshop

TOOL = Path(__file__).parents[2] / "tools" / "make_patch.py"


def run(workshop: Workshop, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(TOOL), *arguments, "--patches", str(workshop.patches)],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def empty(workshop: Workshop) -> Workshop:
    """A third patch that lists a file but has no diff yet."""
    workshop.index("three", files=[{"path": "pkg/c.py", "mode": "100644", "images": []}])
    workshop.order("one", "two", "three")
    return workshop


def test_a_diff_made_from_an_edited_file_applies(empty: Workshop, tmp_path: Path) -> None:
    edited = tmp_path / "edited"
    edited.write_bytes(b"touched\n")
    before = str(empty.tree / "pkg/c.py")
    result = run(empty, "three", "pkg/c.py", before, str(edited), "--seen-in", "1.13.0")
    assert result.returncode == 0, result.stderr
    apply_series(empty.tree, RELEASE, empty.series())
    assert (empty.tree / "pkg/c.py").read_bytes() == b"touched\n"


def test_the_same_edit_gives_the_same_bytes(empty: Workshop, tmp_path: Path) -> None:
    edited = tmp_path / "edited"
    edited.write_bytes(b"touched\n")
    before = str(empty.tree / "pkg/c.py")
    made = []
    for _ in range(2):
        assert (
            run(empty, "three", "pkg/c.py", before, str(edited), "--seen-in", "1.13.0").returncode
            == 0
        )
        made.append({p.name: p.read_bytes() for p in (empty.patches / "three").iterdir()})
    assert made[0] == made[1]


@pytest.mark.parametrize(
    ("patch", "path", "code", "words"),
    [
        ("nine", "pkg/c.py", 2, "no patch 'nine'"),
        ("three", "pkg/x.py", 2, "is not one of the files"),
        ("three", "pkg/c.py", 1, "the two contents are the same"),
    ],
)
def test_what_cannot_be_made_is_said(
    empty: Workshop, patch: str, path: str, code: int, words: str
) -> None:
    same = str(empty.tree / "pkg/c.py")
    result = run(empty, patch, path, same, same, "--seen-in", "1.13.0")
    assert result.returncode == code
    assert words in result.stderr

"""A workshop for each test: a tree of two files and a series of three patches for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.patching.builder import Workshop, lines

A = lines(*range(1, 31))
A_ONE = A.replace(b"line 5\n", b"line five\n")
A_TWO = A_ONE.replace(b"line 20\n", b"line twenty\nand more\n")
A_ONLY_TWO = A.replace(b"line 20\n", b"line twenty\nand more\n")
B = b"#!/bin/bash\necho one\necho two\n"
B_ONE = B.replace(b"echo two", b"echo 2")


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    """a.py is changed by ``one`` and then by ``two``; b.sh by ``one``; ``two`` also alone."""
    made = Workshop(tmp_path)
    made.file("pkg/a.py", A)
    made.file("pkg/b.sh", B, 0o755)
    made.file("pkg/c.py", b"untouched\n")
    made.patch("one", ("pkg/a.py", A, A_ONE), ("pkg/b.sh", B, B_ONE))
    made.patch("two", ("pkg/a.py", A_ONE, A_TWO), ("pkg/a.py", A, A_ONLY_TWO))
    made.commit()
    return made

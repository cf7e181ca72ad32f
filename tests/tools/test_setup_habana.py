"""Setting up Habana's real packages, where this machine lacks what that needs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "setup_habana.py"


@pytest.mark.parametrize("version", ["3.10", "3.8"])
def test_without_that_python_it_says_so_in_one_line(tmp_path: Path, version: str) -> None:
    done = subprocess.run(
        [sys.executable, str(TOOL), version], capture_output=True, text=True, check=False,
        env={"PATH": str(tmp_path), "HOME": str(tmp_path)},
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == f"Python {version} with its venv module is not here\n"
    assert list(tmp_path.iterdir()) == []


def test_a_python_that_habana_never_had_is_a_mistake_of_usage(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(TOOL), "3.12"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "setup_habana.py [3.10|3.8]" in done.stdout

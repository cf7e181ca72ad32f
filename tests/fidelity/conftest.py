"""Habana's real package, without a Gaudi: only the device itself does not work.

``tools/setup_habana.py`` makes the environment, once. Where Python 3.10 or the package index is
missing, these tests are skipped with one line; with ``BERTKIT_HABANA=required`` they fail instead.
``BERTKIT_HABANA_PYTHON=3.8`` takes the Python of the older image.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path
from typing import Tuple

import pytest

from tests.real import conftest as real

TOOL = Path(__file__).parents[2] / "tools" / "setup_habana.py"


@functools.lru_cache(maxsize=1)
def _environment() -> Tuple[str, str]:
    """Its Python, and why there is none."""
    version = os.environ.get("BERTKIT_HABANA_PYTHON", "3.10")
    done = subprocess.run(
        [sys.executable, str(TOOL), version],
        capture_output=True, text=True, check=False, timeout=800,
    )  # fmt: skip
    if done.returncode != 0:
        return "", (done.stderr.strip().splitlines() or ["no reason given"])[0]
    return done.stdout.strip().splitlines()[-1], ""


upstream_url = real.upstream_url


def pytest_runtest_setup(item: pytest.Item) -> None:
    real.pytest_runtest_setup(item)
    if "habana" not in getattr(item, "fixturenames", ()):
        return
    _, why = _environment()
    if why and os.environ.get("BERTKIT_HABANA") == "required":
        pytest.fail(f"Habana's real package is required: {why}", pytrace=False)
    if why:
        pytest.skip(f"Habana's real package cannot be had: {why}")


@pytest.fixture(scope="session")
def habana() -> Path:
    """The Python that has Habana's real package."""
    return Path(_environment()[0])

"""Habana's real package, without a Gaudi: only the device itself does not work.

``tools/setup_habana.py`` makes an environment for each Python of the Gaudi images, once. Where that
Python or the package index is missing, these tests are skipped with one line; with
``BERTKIT_HABANA=required`` they fail instead.
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


upstream_url = real.upstream_url


@functools.lru_cache(maxsize=None)
def _environment(version: str) -> Tuple[str, str]:
    """Its Python, and why there is none."""
    done = subprocess.run(
        [sys.executable, str(TOOL), version],
        capture_output=True, text=True, check=False, timeout=800,
    )  # fmt: skip
    if done.returncode != 0:
        return "", (done.stderr.strip().splitlines() or ["no reason given"])[0]
    return done.stdout.strip().splitlines()[-1], ""


def pytest_runtest_setup(item: pytest.Item) -> None:
    # Here and not in the fixture, so that pytest's summary has one line for all of them.
    real.pytest_runtest_setup(item)
    callspec = getattr(item, "callspec", None)
    version = callspec.params.get("habana") if callspec is not None else None
    if version is None:
        return
    _, why = _environment(version)
    if why and os.environ.get("BERTKIT_HABANA") == "required":
        pytest.fail(f"Habana's real package is required: {why}", pytrace=False)
    if why:
        pytest.skip(f"Habana's real package cannot be had: {why}")


@pytest.fixture(scope="session", params=["3.10", "3.8"])
def habana(request: pytest.FixtureRequest) -> Path:
    """The Python that has Habana's real package; of the images on Ubuntu 22.04 and 20.04."""
    return Path(_environment(request.param)[0])

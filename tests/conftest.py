"""What all tests share."""

from __future__ import annotations

import logging
import signal
from typing import Iterator

import pytest


def pytest_configure() -> None:
    # A suite that runs behind `nohup` or as a script's background job inherits ignored signals, and
    # so would the programs that the tests send signals to: bertkit leaves ignored ones ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def _log_as_before() -> Iterator[None]:
    """A command that runs in this process sends the log to its own stderr: until the test ends."""
    log = logging.getLogger("bertkit")
    before = (log.handlers[:], log.propagate, log.level)
    yield
    log.handlers, log.propagate, log.level = before[0], before[1], before[2]

"""What all tests share."""

from __future__ import annotations

import signal


def pytest_configure() -> None:
    # A suite that runs behind `nohup` or as a script's background job inherits ignored signals, and
    # so would the programs that the tests send signals to: bertkit leaves ignored ones ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

"""Output that nobody reads any more: the exit code is right all the same."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

BERTKIT = [sys.executable, "-m", "bertkit"]


def test_a_reader_that_has_enough_is_no_reason_for_a_traceback() -> None:
    reads, writes = os.pipe()
    os.close(reads)
    done = subprocess.run(
        [*BERTKIT, "patches", "list"], stdin=subprocess.DEVNULL, stdout=writes,
        stderr=subprocess.PIPE, text=True, check=False, timeout=120,
    )  # fmt: skip
    os.close(writes)
    assert (done.returncode, done.stderr) == (1, "")  # click's way


def test_an_error_that_no_terminal_shows_keeps_its_exit_code() -> None:
    master, slave = pty.openpty()
    os.close(master)
    for options in ([], ["--json"]):
        done = subprocess.run(
            [*BERTKIT, "patches", "status", "--repo", "/no/such/checkout", *options],
            stdin=subprocess.DEVNULL, stdout=slave, stderr=slave, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == 3
    os.close(slave)

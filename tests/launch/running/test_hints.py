"""Known causes, by the words in which programs really speak of them."""

from __future__ import annotations

import errno
import os
import socket

import pytest

from bertkit.launch.running.hints import hint_for


def cause(*lines: str) -> str:
    hint = hint_for(lines)
    return "" if hint is None else hint.cause


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("RuntimeError: synStatus=26 [Generic failure] Device acquire failed.", "the card is held"),
        ("synStatus=20 [Device already acquired] Device acquire failed", "the card is held"),
        (f"OSError: [Errno 16] {os.strerror(errno.EBUSY)}: '/dev/accel/accel0'", "the card is"),
        (f"OSError: [Errno 28] {os.strerror(errno.ENOSPC)}: 'model.ckpt-6'", "the disk is full"),
        (f"OSError: [Errno 122] {os.strerror(errno.EDQUOT)}", "the disk is full"),
        (f"OSError: [Errno 12] {os.strerror(errno.ENOMEM)}", "memory"),
        ("terminate called after throwing an instance of 'std::bad_alloc'", "memory"),
        ("MemoryError", "memory"),
        ("mmap failed: cannot allocate 2048 kB huge pages", "huge pages"),
        ("Failed to map Hugepages", "huge pages"),
        ("ssh: Could not resolve hostname worker-1: Name or service not known", "host's name"),
        ("curl: (6) Could not resolve host: example.org", "host's name"),
        ("tensorflow_estimator...: NaN loss during training.", "not a number"),
        ("errors_impl.DataLossError: corrupted record at 0", "records is damaged"),
        ("Unsuccessful TensorSliceReader constructor: Failed to find any matching", "checkpoint"),
        ("FATAL Flags parsing error: Unknown command line flag 'foo'", "does not know a flag"),
        ("There are not enough slots available in the system to satisfy", "fewer slots"),
        ("Host key verification failed.", "cannot be reached"),
        ("Stalled ranks:", "wait for others"),
        ("horovod.common.exceptions.HorovodInternalError: ncclCommAbort", "another rank is gone"),
    ],
)
def test_a_known_cause_is_found(line: str, words: str) -> None:
    assert words in cause("first", line, "last")


def test_the_resolver_of_this_machine_speaks_so() -> None:
    with pytest.raises(socket.gaierror) as error:
        socket.getaddrinfo("no-such-host.invalid", 80)
    assert "host's name" in cause(str(error.value))


@pytest.mark.parametrize(
    "line", ["", "step 3, loss 9.1", "KeyError: 'x'", "Using 0 hugepages", "memory growth is on"]
)
def test_what_is_not_known_has_no_hint(line: str) -> None:
    assert cause(line) == ""

"""The release as programs tell it: ``hl-smi`` and dpkg.

``hl-smi`` talks to the driver and may hang with it, fail, or print anything: each call has a limit
on its time and its output, and its own process group, which is killed as a whole.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import shutil
import signal
import subprocess
import time
from typing import List, Mapping, Optional, Sequence, Tuple

from bertkit.synapse.found import Found, found_in

_SECONDS = 10.0
_MOST_BYTES = 1 << 20

_ROW = re.compile(r"^\s*[0-9]+\.[0-9]+\.[0-9]+(?:-[\w.+-]+)?\s*$", re.M)
_TOOL = re.compile(r"hl-smi/hlml version\s+hl-([0-9][\w.-]*)", re.I)
_TABLE_TOOL = re.compile(r"^\s*\|?\s*HL-SMI Version\s*:\s*hl-([0-9][\w.-]*)", re.M)
# From the start of the line: "Nic Driver Version" is another driver, with other numbers.
_TABLE_DRIVER = re.compile(r"^\s*\|?\s*Driver Version\s*:\s*([0-9][\w.-]*)", re.M)
# dpkg-query's bare version, a line of `dpkg -l`, or one of `apt list --installed`.
_GRAPH = re.compile(
    r"^(?:ii\s+)?(?:habanalabs-graph\S*\s+)?([0-9]+\.[0-9]+\.[0-9]+)(?:-[\w.+~]+)?(?:\s.*)?$", re.M
)


class HlSmi:
    """What ``hl-smi`` says; after one call that hung it is not asked again."""

    def __init__(
        self, environment: Mapping[str, str], notes: List[str], *, seconds: float = _SECONDS
    ) -> None:
        self._environment = {**environment, "ENABLE_CONSOLE": "true"}  # some images want it
        self._program = shutil.which("hl-smi", path=environment.get("PATH", os.defpath))
        self._notes = notes
        self._seconds = seconds

    def driver(self) -> Optional[Found]:
        """The driver by ``hl-smi -Q driver_version -f csv,noheader``."""
        row = _ROW.search(self._ask("-Q", "driver_version", "-f", "csv,noheader"))
        return None if row is None else found_in(row.group(0), "hl-smi -Q")

    def userspace(self) -> Optional[Found]:
        """The userspace by ``hl-smi -v``."""
        tool = _TOOL.search(self._ask("-v"))
        return None if tool is None else found_in(tool.group(1), "hl-smi -v", tool.group(0))

    def table(self) -> Tuple[Optional[Found], Optional[Found]]:
        """Userspace and driver by the table that ``hl-smi`` prints."""
        return read_table(self._ask())

    def _ask(self, *arguments: str) -> str:
        if self._program is None:
            return ""
        command = [self._program, *arguments]
        try:
            return ask(command, self._environment, seconds=self._seconds)
        except TimeoutError:
            self._program = None
            self._notes.append(
                f"hl-smi did not answer within {self._seconds:g} s: the driver may be stuck"
            )
        except OSError as error:
            self._program = None
            self._notes.append(f"hl-smi cannot be started: {error.strerror}")
        return ""


def read_table(text: str) -> Tuple[Optional[Found], Optional[Found]]:
    """Userspace and driver in the table of ``hl-smi`` (or in the list of ``hl-smi -L``)."""
    tool, driver = _TABLE_TOOL.search(text), _TABLE_DRIVER.search(text)
    return (
        None if tool is None else found_in(tool.group(1), "hl-smi table", "hl-" + tool.group(1)),
        None if driver is None else found_in(driver.group(1), "hl-smi table"),
    )


def dpkg_userspace(environment: Mapping[str, str]) -> Optional[Found]:
    """The userspace by the Debian package ``habanalabs-graph`` (``1.12.1-10``)."""
    for command in (
        ["dpkg-query", "-W", "-f", "${Version}\n", "habanalabs-graph"],
        ["dpkg", "-l", "habanalabs-graph"],
    ):
        program = shutil.which(command[0], path=environment.get("PATH", os.defpath))
        if program is None:
            continue
        try:
            answer = read_dpkg(ask([program, *command[1:]], environment, seconds=_SECONDS))
        except OSError:
            continue
        if answer is not None:
            return answer
    return None


def read_dpkg(text: str) -> Optional[Found]:
    """The release of ``habanalabs-graph`` in what dpkg or apt prints about it."""
    line = _GRAPH.search(text)
    if line is None:
        return None
    return found_in(line.group(1), "dpkg", f"habanalabs-graph {line.group(1)}")


def ask(command: Sequence[str], environment: Mapping[str, str], *, seconds: float) -> str:
    """What *command* prints on stdout, empty if it fails.

    Raises:
        OSError: it cannot be started.
        TimeoutError: it did not end in time; its whole process group was killed.
    """
    process = subprocess.Popen(
        list(command),
        env={**environment, "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        output = _read(process, time.monotonic() + seconds)
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        # A process that hangs inside the driver cannot even be killed: do not wait for it.
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=1)
        if process.stdout is not None:
            process.stdout.close()
    return output.decode("utf-8", "replace")


def _read(process: subprocess.Popen[bytes], deadline: float) -> bytes:
    """stdout up to its end; nothing if the program fails or prints without end."""
    assert process.stdout is not None
    pieces = bytearray()
    while True:
        ready, _, _ = select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            raise TimeoutError
        piece = os.read(process.stdout.fileno(), 65536)
        if not piece:
            break
        pieces += piece
        if len(pieces) > _MOST_BYTES:
            return b""
    try:
        code = process.wait(timeout=max(0.1, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise TimeoutError from None
    return bytes(pieces) if code == 0 else b""

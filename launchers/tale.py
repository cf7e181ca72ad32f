"""What rank 0 tells a launcher that does not see its files; part of ``rank.py --tell``.

Each line goes to mpirun's output with what it is a line of: ``bertkit-rank 0 log TEXT``. Only the
standard library is used, as in ``rank.py``.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import Dict, List, Optional

#: seconds between two looks at what there is to tell
_EVERY = 0.2
_AT_ONCE = 64 * 1024


class Tale:
    """What rank 0 writes, told as it comes: its log, dllogger's reports, in the end the scores.

    Args:
        to: mpirun's output.
        log: the rank's log; the script has not started yet.
        command: the script and its flags.
    """

    def __init__(self, to: int, log: Path, command: List[str]) -> None:
        self._to = to
        self._began = time.time()
        start = "--output_dir="
        named = [word[len(start) :] for word in command if word.startswith(start)]
        self._output = Path(named[-1]) if named else None
        reports = log.parent.parent / "dllog" / "0.json"
        with contextlib.suppress(OSError):  # an earlier run's
            reports.replace(reports.with_suffix(".earlier"))
        self._files = {"log": log, "dllog": reports}
        # This host may have an earlier run's log, which goes on.
        self._told = {"log": log.stat().st_size if log.exists() else 0, "dllog": 0}

    def until(self, process: int) -> int:
        """Tell until *process* has ended, and how it ended, as ``os.waitpid`` says it."""
        ended = 0
        while not ended:
            ended, status = os.waitpid(process, os.WNOHANG)
            self._go_on(to_the_end=bool(ended))
            if not ended:
                time.sleep(_EVERY)
        if self._output is not None:
            results = self._output / "eval_results.txt"
            with contextlib.suppress(OSError):
                if results.stat().st_mtime >= self._began - 1:  # a disk's clock may be coarse
                    self._tell("eval", results.read_bytes()[:_AT_ONCE])
        return status

    def newest_checkpoint(self) -> Optional[str]:
        """The prefix of the checkpoint of the last step that has an index and data, if any has."""
        found: Dict[int, str] = {}
        output = self._output
        for directory in () if output is None else (output / "worker_0", output):
            for index in directory.glob("model.ckpt-*.index"):
                prefix = index.with_suffix("")
                step = prefix.name.rsplit("-", 1)[1]
                if step.isdigit() and any(directory.glob(f"{prefix.name}.data-*")):
                    found[int(step)] = str(prefix)
        return found[max(found)] if found else None

    def _go_on(self, *, to_the_end: bool) -> None:
        """Tell the lines that are new; *to_the_end*: also a last one that is not whole."""
        for kind, path in self._files.items():
            with contextlib.suppress(OSError), path.open("rb") as stream:
                while True:
                    stream.seek(self._told[kind])
                    fresh = stream.read(_AT_ONCE)
                    whole = fresh.rfind(b"\n") + 1
                    if not whole and (to_the_end or len(fresh) == _AT_ONCE):
                        whole = len(fresh)  # a line without an end
                    if not whole:
                        break
                    self._told[kind] += whole
                    self._tell(kind, fresh[:whole])

    def _tell(self, kind: str, text: bytes) -> None:
        lines = text[:-1].split(b"\n") if text.endswith(b"\n") else text.split(b"\n")
        start = f"bertkit-rank 0 {kind} ".encode()
        rest = b"".join(start + line + b"\n" for line in lines)
        while rest:
            rest = rest[os.write(self._to, rest) :]

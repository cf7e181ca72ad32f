"""What pods print, kept in files before the pods go."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

from bertkit.errors import BertkitError
from bertkit.files import sync_directory
from bertkit.kube.cluster import Cluster
from bertkit.kube.kinds import Object, meta
from bertkit.kube.logs import Source, lines, sources
from bertkit.kube.trouble import Refused, Unreachable


class Keeper:
    """Writes what pods print into files while they print it: pods go when a job ends.

    Attributes:
        directory: where; made with the first line.
        files: those that were written, in order.
    """

    def __init__(self, cluster: Cluster, directory: Path) -> None:
        self.directory = directory
        self.files: List[Path] = []
        self.troubles: List[str] = []
        self._cluster = cluster
        self._halt = threading.Event()
        self._threads: Dict[Tuple[str, str, int], threading.Thread] = {}

    def look(self, pods: Sequence[Object]) -> None:
        """Begin with whatever of *pods* prints by now."""
        for pod in pods:
            for source in sources(pod):
                key = (source.uid, source.container, source.restart)
                if key not in self._threads:
                    thread = threading.Thread(target=self._keep, args=(source,), daemon=True)
                    self._threads[key] = thread
                    thread.start()

    def finish(self, seconds: float) -> None:
        """Wait for the ends of all logs, but no longer than *seconds*."""
        end = time.monotonic() + seconds
        for thread in list(self._threads.values()):
            thread.join(max(0.0, end - time.monotonic()))
        late = sum(thread.is_alive() for thread in self._threads.values())
        if late:
            self.troubles.append(f"{late} logs had not come to their end")

    def stop(self) -> None:
        """Go on with no log whose connection ends."""
        self._halt.set()

    def _keep(self, source: Source) -> None:
        path = self.directory / source.file_name
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            with path.open("w", encoding="utf-8") as stream:
                self.files.append(path)
                for line in lines(self._cluster, source, follow=True, halt=self._halt):
                    stream.write(line + "\n")
                    stream.flush()
            sync_directory(self.directory)
        except BertkitError as error:
            self.troubles.append(f"{source.pod} ({source.container}): {error.why or error.what}")
        except OSError as error:
            self.troubles.append(f"{path}: {error.strerror or error}")


def directory_for(base: Optional[Path], job: Object) -> Path:
    """Where a job's logs are kept: a directory of its own, also if the name is used again."""
    when = re.sub(r"[^0-9TZ]", "", str(meta(job).get("creationTimestamp")))
    return (base or Path("bertkit-logs")) / f"{meta(job).get('name')}-{when}"


def save_now(
    cluster: Cluster, job: Object, pods: List[Object], save: Optional[Path]
) -> Tuple[Optional[Path], List[str]]:
    """Keep what *pods* have printed so far; the directory, and what could not be kept."""
    directory = directory_for(save, job)
    kept, troubles = 0, []
    for pod in pods:
        for source in sources(pod):
            try:
                write_log(cluster, source, directory)
                kept += 1
            except (Refused, Unreachable) as error:
                troubles.append(f"{source.pod} ({source.container}): {error.why or error.what}")
    if not kept:
        with contextlib.suppress(OSError):  # never made, or not ours alone
            directory.rmdir()
    return (directory if kept else None), troubles


def write_log(cluster: Cluster, source: Source, directory: Path) -> Path:
    """Keep what one container has printed so far.

    Raises:
        Refused, Unreachable: it cannot be had.
    """
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / source.file_name
    partial = directory / f".{source.file_name}.part"
    try:
        with partial.open("w", encoding="utf-8") as stream:
            for line in lines(cluster, source):
                stream.write(line + "\n")
        partial.replace(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            partial.unlink()
    return path

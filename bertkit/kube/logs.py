"""What pods print: read, and followed through cut connections."""

from __future__ import annotations

import re
import threading
from typing import Dict, Iterator, List, NamedTuple, Optional

from bertkit.kube import words
from bertkit.kube.cluster import Cluster
from bertkit.kube.kinds import POD, Object, meta
from bertkit.kube.trouble import Refused, Unreachable

_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 15.0
#: a line that never comes is no sign of trouble: training may be silent for long
_SILENCE_SECONDS = 300.0
#: what mpirun --tag-output puts in front of a rank's line, in Open MPI 4 and 5
_TAG = re.compile(r"^\[(?:[\w.-]+@)?\d+,(\d+)\]<(?:stdout|stderr|stddiag)>: ?")

_STAMPED = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)(?: |$)", re.ASCII
)


class Source(NamedTuple):
    """One run of one container of a pod.

    Attributes:
        pod, uid: the pod's name and uid.
        container: its name.
        restart: how often it had been started anew before.
        alone: the pod has no other container.
        ended: it has ended already.
    """

    pod: str
    uid: str
    container: str
    restart: int
    alone: bool
    ended: bool

    @property
    def file_name(self) -> str:
        """The name of a file for it."""
        parts = [self.pod] if self.alone else [self.pod, self.container]
        if self.restart:
            parts.append(f"restart-{self.restart}")
        return ".".join(parts) + ".log"


def sources(pod: Object) -> List[Source]:
    """The containers of a pod that print, or have printed."""
    spec = pod.get("spec") or {}
    count = len(spec.get("containers") or []) + len(spec.get("initContainers") or [])
    found = []
    for state in words.containers(pod):
        now = state.get("state") or {}
        if now.get("waiting") and not state.get("lastState"):
            continue
        if not now:
            continue
        restarts = int(state.get("restartCount") or 0)
        found.append(
            Source(
                pod=str(meta(pod).get("name")),
                uid=str(meta(pod).get("uid")),
                container=str(state.get("name")),
                # One that waits for its next start shows what the last one printed.
                restart=max(0, restarts - 1) if now.get("waiting") else restarts,
                alone=count <= 1,
                ended=bool(now.get("terminated") or now.get("waiting")),
            )
        )
    return found


def lines(
    cluster: Cluster,
    source: Source,
    *,
    follow: bool = False,
    halt: Optional[threading.Event] = None,
) -> Iterator[str]:
    """What a container prints, line by line, without the ends of lines.

    With *follow* it goes on until the container ends. A connection that is cut off is taken up
    again behind the last line, without losing one or giving one twice; unless *halt* is set.

    Raises:
        Refused: the pod is gone, or the user may not see its logs.
        Unreachable: without *follow*, or after some minutes.
    """
    behind = _Behind()
    halt = halt or threading.Event()
    pause, tries = _FIRST_PAUSE, 0
    while not halt.is_set():
        query: Dict[str, object] = {"container": source.container, "timestamps": "true"}
        query["sinceTime"] = behind.ask_from()
        if follow:
            query["follow"] = "true"
        got = False
        try:
            for raw in cluster.lines(
                POD, source.pod, below="log", query=query, silence=_SILENCE_SECONDS
            ):
                text = behind.fresh(raw.decode("utf-8", "replace"))
                if text is not None:
                    got = True
                    yield text
            if not follow or _is_over(cluster, source):
                return
        except Unreachable:
            if not follow or tries > 20:
                raise
        except Refused as error:
            # 500 and more: the kubelet behind the server cannot be reached for a moment.
            if not follow or error.status < 500 or tries > 20:
                raise
        pause, tries = (_FIRST_PAUSE, 0) if got else (min(pause * 2, _LONGEST_PAUSE), tries + 1)
        halt.wait(pause)


def of_rank(rank: int, all_lines: Iterator[str]) -> Iterator[str]:
    """Of a launcher's lines those that mpirun has marked as *rank*'s, without the marks."""
    for line in all_lines:
        tag = _TAG.match(line)
        if tag and int(tag.group(1)) == rank:
            yield line[tag.end() :]


class _Behind:
    """Where a log was left: the time of the last line, and how many lines have that time."""

    def __init__(self) -> None:
        self._last = ""
        self._zone = ""
        self._count = 0
        self._skip: Optional[int] = None

    def ask_from(self) -> Optional[str]:
        """The last line's whole second, from which to ask again; None if there was no line."""
        self._skip = self._count if self._last else None
        return self._last[:19] + self._zone if self._last else None

    def fresh(self, line: str) -> Optional[str]:
        """*line* without its time, or None if it was given before."""
        found = _STAMPED.match(line)
        if found is None:  # the kubelet's own words
            return line
        whole, fraction, zone = found.groups()
        stamp = f"{whole}.{fraction or '':0<9}"
        if self._skip is not None:
            if stamp < self._last:
                return None
            if stamp == self._last and self._skip > 0:
                self._skip -= 1
                return None
        self._skip = None
        self._count = self._count + 1 if stamp == self._last else 1
        self._last, self._zone = stamp, zone
        return line[found.end() :]


def _is_over(cluster: Cluster, source: Source) -> bool:
    """Whether a log that ended did so because its container did."""
    pod = cluster.find(POD, source.pod)
    if pod is None or meta(pod).get("uid") != source.uid:
        return True
    for each in sources(pod):
        if each.container == source.container:
            return each.ended or each.restart != source.restart
    return True

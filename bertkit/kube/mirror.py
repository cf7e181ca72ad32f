"""A copy of a cluster's objects of one kind that keeps itself up to date."""

from __future__ import annotations

import json
import logging
import threading
import time
from typing import Any, Dict, List, Optional

from bertkit.errors import BertkitError
from bertkit.kube.cluster import Cluster
from bertkit.kube.kinds import Kind, Object, meta
from bertkit.kube.trouble import Refused, Unreachable

log = logging.getLogger("bertkit")

#: seconds after which a watch ends by itself and is taken up again
_WATCH_SECONDS = 60
#: seconds of silence after that, in which a connection counts as alive
_SILENCE_SECONDS = 15.0
_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 15.0
#: answers that do not become better by asking again; but a server that has just been started anew
#: gives them too, until it knows users and resources again
_FINAL = (400, 401, 403, 404, 422)
_TRIES_AFTER_SUCCESS = 4


class Mirror(threading.Thread):
    """Lists, then watches, and takes the watch up again whenever it ends.

    A watch that is cut off goes on from the last change seen; one that the server cannot go on
    with (its history is gone, or it is another server) begins with a new list.

    Attributes:
        error: why it ended before it was stopped.
    """

    def __init__(
        self,
        cluster: Cluster,
        kind: Kind,
        changed: threading.Event,
        *,
        name: Optional[str] = None,
        patience: float = 600.0,
    ) -> None:
        """Prepare it.

        Args:
            cluster: where.
            kind: of what.
            changed: set after every change, and when it ends.
            name: of one object; default: all in the namespace.
            patience: seconds without an answer after which it gives up.
        """
        super().__init__(name=f"mirror of {kind.plural}", daemon=True)
        self.error: Optional[BertkitError] = None
        self._cluster = cluster
        self._kind = kind
        self._changed = changed
        self._select = {"fieldSelector": f"metadata.name={name}"} if name else {}
        self._patience = patience
        self._lock = threading.Lock()
        self._here: Dict[str, Object] = {}
        self._gone: Dict[str, Object] = {}
        self._version: Optional[str] = None
        self._listed = False
        self._halt = threading.Event()

    @property
    def ready(self) -> bool:
        """Whether the first list is there."""
        return self._listed

    def objects(self) -> List[Object]:
        """What is there."""
        with self._lock:
            return list(self._here.values())

    def gone(self) -> List[Object]:
        """What was there, and was seen, and is no more."""
        with self._lock:
            return list(self._gone.values())

    def stop(self) -> None:
        """Ask it to end; it ends with its present watch (see ``Cluster.hang_up``) at the latest."""
        self._halt.set()

    def run(self) -> None:
        """Follow until stopped."""
        silent_since: Optional[float] = None
        pause, finals = _FIRST_PAUSE, 0
        try:
            while not self._halt.is_set():
                try:
                    if self._version is None:
                        self._list()
                    if silent_since is not None:
                        log.info("the cluster answers again (%s)", self._kind.plural)
                    silent_since, pause = None, _FIRST_PAUSE if not finals else pause
                    self._watch()
                    finals = 0
                    continue
                except Refused as error:
                    self._version = None
                    if error.status in _FINAL:
                        finals += 1
                        if not self._listed or finals > _TRIES_AFTER_SUCCESS:
                            raise
                    if error.status == 410:
                        continue
                    trouble: BertkitError = error
                except Unreachable as error:
                    trouble = error
                now = time.monotonic()
                if silent_since is None:
                    silent_since = now
                    log.debug("%s: %s; trying again", self._kind.plural, trouble.why)
                elif now - silent_since > self._patience:
                    raise trouble
                elif pause >= 1:
                    log.info(
                        "no answer about %s (%s); trying again", self._kind.plural, trouble.why
                    )
                self._halt.wait(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
        except BertkitError as error:
            self.error = error
        finally:
            self._changed.set()

    def _list(self) -> None:
        objects, version = self._cluster.list(self._kind, **self._select)
        fresh = {str(meta(each).get("uid")): each for each in objects}
        with self._lock:
            for uid, each in self._here.items():
                if uid not in fresh:
                    self._gone[uid] = each
            self._here = fresh
        self._version = version
        self._listed = True
        self._changed.set()

    def _watch(self) -> None:
        query = {
            **self._select,
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            "timeoutSeconds": _WATCH_SECONDS,
        }
        lines = self._cluster.lines(
            self._kind, query=query, silence=_WATCH_SECONDS + _SILENCE_SECONDS
        )
        for line in lines:
            if self._halt.is_set():
                return
            try:
                change = json.loads(line)
            except ValueError:  # cut off in the middle
                return
            self._take(str(change.get("type")), change.get("object") or {})

    def _take(self, what: str, thing: Dict[str, Any]) -> None:
        if what == "ERROR":
            error = Refused(
                "the watch cannot go on", why=str(thing.get("message")), where=self._cluster.server
            )
            error.status = int(thing.get("code") or 0)
            raise error
        self._version = str(meta(thing).get("resourceVersion") or "") or None
        if what == "BOOKMARK":
            return
        uid = str(meta(thing).get("uid"))
        with self._lock:
            if what == "DELETED":
                self._here.pop(uid, None)
                self._gone[uid] = thing
            else:
                self._here[uid] = thing
        self._changed.set()

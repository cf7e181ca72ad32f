"""What is asked of a cluster, by the official Python client."""

from __future__ import annotations

import contextlib
import json
import socket
from typing import Any, Iterator, List, Mapping, Optional, Set, Tuple

from bertkit.kube.kinds import MPIJOBS, Kind, Object
from bertkit.kube.trouble import Refused, first_line, refused, unreachable, verb_of

Query = Mapping[str, object]

_CONNECT_SECONDS = 10.0
_ANSWER_SECONDS = 60.0
_PAGE = 500


class Cluster:
    """One cluster, as one user, in one namespace.

    Objects are plain values as the API writes them. Every method raises ``Refused`` or
    ``Unreachable``; nothing is tried twice here.

    Attributes:
        server: the address.
        namespace: where everything is looked for and made.
    """

    def __init__(self, api_client: Any, namespace: str) -> None:
        from kubernetes.dynamic import DynamicClient

        self.server: str = api_client.configuration.host
        self.namespace = namespace
        self._streams: Set[Any] = set()
        self._hung_up = False
        # Its requests are the one interface that the client's releases share; without a
        # discoverer it asks the server for nothing by itself.
        self._client = DynamicClient(api_client, discoverer=lambda *_: None)

    def get(self, kind: Kind, name: str) -> Object:
        """One object."""
        return self._ask("GET", kind, name)

    def find(self, kind: Kind, name: str) -> Optional[Object]:
        """One object, or None if there is none; also if the cluster has no such kind."""
        try:
            return self.get(kind, name)
        except Refused as error:
            if error.status == 404:
                return None
            raise

    def list(self, kind: Kind, **query: object) -> Tuple[List[Object], str]:
        """All objects of a kind, and the version of the list, from which a watch goes on."""
        found: List[Object] = []
        page: Object = {}
        while True:
            more = {"continue": page["metadata"]["continue"]} if page else {}
            page = self._ask("GET", kind, None, query={"limit": _PAGE, **query, **more})
            found += page.get("items") or []
            if not page["metadata"].get("continue"):
                return found, str(page["metadata"].get("resourceVersion", ""))

    def create(self, kind: Kind, body: Object, *, dry_run: bool = False) -> Object:
        """Make an object; *dry_run*: only have it checked, by everything that would check it."""
        name = body["metadata"].get("name")
        return self._ask("POST", kind, name, body=body, query={"dryRun": "All"} if dry_run else {})

    def delete(self, kind: Kind, name: str, uid: str, *, grace: Optional[int] = None) -> None:
        """Ask for the deletion of an object and of what belongs to it.

        Args:
            kind, name: which.
            uid: only if it is still this one.
            grace: seconds that its processes get; default: what the object says.
        """
        body: Object = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
            "preconditions": {"uid": uid},
        }
        if grace is not None:
            body["gracePeriodSeconds"] = grace
        self._ask("DELETE", kind, name, body=body)

    def mpijob_kinds(self) -> List[Kind]:
        """The versions of MPIJob that this cluster serves."""
        found = []
        for kind in MPIJOBS:
            try:
                answer = self._json("GET", f"/apis/{kind.api}", kind, None)
            except Refused as error:
                if error.status == 404:
                    continue
                raise
            if any(each.get("name") == kind.plural for each in answer.get("resources") or []):
                found.append(kind)
        return found

    def check_namespace(self) -> None:
        """Raise if the namespace is not there, and this user may know."""
        try:
            self._json("GET", f"/api/v1/namespaces/{self.namespace}", None, None)
        except Refused as error:
            if error.status == 404:
                raise
            if error.status != 403:
                raise

    def lines(
        self,
        kind: Kind,
        name: Optional[str] = None,
        *,
        below: str = "",
        query: Query,
        silence: float,
    ) -> Iterator[bytes]:
        """The lines of an answer, as they come, without their ends.

        Args:
            kind, name, below: whose, such as the ``log`` of a pod.
            query: parameters.
            silence: seconds without a byte after which the connection counts as dead.
        """
        path = kind.path(self.namespace, name, below)
        watch = "watch" in query
        verb = verb_of("GET", name=name, watch=watch)
        with self._told(verb, kind, name, below):
            answer = self._send("GET", path, query, None, silence)
            self._streams.add(answer)
            try:
                if not self._hung_up:
                    yield from _split(answer)
            finally:
                self._streams.discard(answer)
                answer.close()

    def hang_up(self) -> None:
        """End all answers that are still being read, whichever threads read them, for good."""
        self._hung_up = True
        for answer in list(self._streams):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                if hasattr(answer, "shutdown"):
                    answer.shutdown()
                else:  # urllib3 before 2.3
                    answer.connection.sock.shutdown(socket.SHUT_RDWR)

    def _ask(
        self,
        method: str,
        kind: Kind,
        name: Optional[str],
        *,
        body: Optional[Object] = None,
        query: Optional[Query] = None,
    ) -> Object:
        path = kind.path(self.namespace, None if method == "POST" else name)
        return self._json(method, path, kind, name, body=body, query=query)

    def _json(
        self,
        method: str,
        path: str,
        kind: Optional[Kind],
        name: Optional[str],
        *,
        body: Optional[Object] = None,
        query: Optional[Query] = None,
    ) -> Object:
        with self._told(verb_of(method, name=name), kind, name):
            answer = self._send(method, path, query or {}, body, _ANSWER_SECONDS)
            try:
                found = json.loads(answer.data)
            finally:
                answer.close()
            if not isinstance(found, dict):
                raise ValueError("the answer is no object")
            return found

    def _send(
        self, method: str, path: str, query: Query, body: Optional[Object], silence: float
    ) -> Any:
        return self._client.request(
            method,
            path,
            body=body,
            query_params=[(key, value) for key, value in query.items() if value is not None],
            header_params={"Accept": "application/json, */*"},
            serialize=False,
            _request_timeout=(_CONNECT_SECONDS, silence),
        )

    @contextlib.contextmanager
    def _told(
        self, verb: str, kind: Optional[Kind], name: Optional[str], below: str = ""
    ) -> Iterator[None]:
        """Tell errors of the client and of the network in bertkit's words."""
        from kubernetes.client.rest import ApiException
        from urllib3.exceptions import HTTPError

        try:
            yield
        except ApiException as error:
            if not error.status:  # TLS did not come about
                raise unreachable(self.server, first_line(error.reason)) from None
            raise refused(
                error.status,
                error.body,
                verb=verb,
                kind=kind,
                namespace=self.namespace,
                name=name,
                server=self.server,
                below=below,
            ) from None
        except (HTTPError, OSError) as error:
            raise unreachable(self.server, first_line(error)) from None
        except ValueError as error:
            raise unreachable(self.server, f"no answer of a cluster: {error}") from None


def _split(answer: Any) -> Iterator[bytes]:
    rest = b""
    for piece in answer.stream(2**16, decode_content=False):
        lines = (rest + piece).split(b"\n")
        rest = lines.pop()
        yield from lines
    if rest:
        yield rest

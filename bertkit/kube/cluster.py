"""A connection to a cluster: found as ``kubectl`` finds it, by the official Python client."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Set, Tuple

from bertkit.errors import EnvironmentUnfit
from bertkit.kube.kinds import MPIJOBS, Kind, Object
from bertkit.kube.trouble import Refused, no_client, refused, unreachable, verb_of

Query = Mapping[str, object]

_CONNECT_SECONDS = 10.0
_ANSWER_SECONDS = 60.0
_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
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
                raise unreachable(self.server, _first_line(error.reason)) from None
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
            raise unreachable(self.server, _first_line(error)) from None
        except ValueError as error:
            raise unreachable(self.server, f"no answer of a cluster: {error}") from None


def connect(
    *,
    kubeconfig: Optional[Path] = None,
    context: Optional[str] = None,
    namespace: Optional[str] = None,
    environ: Optional[Mapping[str, str]] = None,
) -> Cluster:
    """The cluster that *kubeconfig* or the environment names, else the one that we run in.

    Args:
        kubeconfig: default: ``KUBECONFIG``, then ``~/.kube/config``.
        context: of the kubeconfig; default: its current one.
        namespace: default: the context's, else ``default``; in a pod: the pod's.
        environ: for tests; default: the process's.

    Raises:
        EnvironmentUnfit: no cluster is known, the kubeconfig cannot be used, or the client is not
            installed.
    """
    environ = os.environ if environ is None else environ
    try:
        from kubernetes import client, config
        from kubernetes.config.config_exception import ConfigException
    except ImportError:
        raise no_client() from None
    # Its warnings about retries and full pools are no news to anyone.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    configuration = client.Configuration()
    files = str(kubeconfig) if kubeconfig else environ.get("KUBECONFIG", "")
    home = Path(environ.get("HOME", "/")) / ".kube" / "config"
    if not files and home.is_file():
        files = str(home)
    try:
        if files:
            config.load_kube_config(files, context, client_configuration=configuration)
            _, current = config.list_kube_config_contexts(files)
            chosen = _context_of(files, context) if context else current
            here = (chosen.get("context") or {}).get("namespace") or "default"
        elif environ.get("KUBERNETES_SERVICE_HOST"):
            config.load_incluster_config(client_configuration=configuration)
            here = _NAMESPACE_FILE.read_text(encoding="utf-8").strip()
        else:
            raise EnvironmentUnfit(
                "no cluster is known",
                why=f"there is no {home}, KUBECONFIG is not set, and this is no pod",
                next_step="say --kubeconfig FILE, or get one from whoever runs the cluster",
            )
    except (ConfigException, OSError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise _unusable(files, error) from None
    except Exception as error:
        if type(error).__module__.split(".")[0] != "yaml":
            raise
        raise _unusable(files, error) from None
    configuration.retries = False
    configuration.connection_pool_maxsize = 64
    return Cluster(client.ApiClient(configuration), namespace or here)


def _context_of(files: str, name: str) -> Dict[str, Any]:
    from kubernetes import config

    contexts, _ = config.list_kube_config_contexts(files)
    return next((each for each in contexts if each["name"] == name), {})


def _unusable(files: str, error: Exception) -> EnvironmentUnfit:
    return EnvironmentUnfit(
        "this kubeconfig cannot be used" if files else "this pod's account cannot be used",
        where=files or None,
        why=_first_line(error) or type(error).__name__,
        next_step="kubectl config get-contexts; then --kubeconfig FILE or --context NAME",
    )


def _split(answer: Any) -> Iterator[bytes]:
    rest = b""
    for piece in answer.stream(2**16, decode_content=False):
        lines = (rest + piece).split(b"\n")
        rest = lines.pop()
        yield from lines
    if rest:
        yield rest


def _first_line(error: object) -> str:
    text = str(error).strip().splitlines()
    # "<urllib3...HTTPSConnection object at 0x7f...>: Failed to ..." is no news but for its end
    return (text[-1] if text else type(error).__name__).rpartition(">: ")[2][:300]

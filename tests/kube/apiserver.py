"""A real Kubernetes API server with etcd behind it, on loopback, for as long as the tests run.

There is no kubelet, scheduler or operator: what those would write, tests write in their place.
"""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Dict, Iterable, List, Optional

import yaml

from bertkit.processes import dies_with_parent
from tests.kube.crd import mpijob_crd

TLS = Path(__file__).resolve().parents[1] / "fixtures" / "tls"
AUTHORITY = TLS / "authority.pem"
BOTH = TLS / "localhost.pem"

#: user -> groups; each user's token is NAME-token. `owner` gets rights in single namespaces.
USERS = {"admin": "system:masters", "owner": "", "alice": ""}

#: A folder with mpijob-v2beta1.yaml and mpijob-v1.yaml of the operator; else the tests' own.
CRDS = "BERTKIT_MPIJOB_CRDS"


class Refused(Exception):
    """The server's answer was not 2xx."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class ApiServer:
    """One kube-apiserver that serves MPIJobs of one *version*.

    Attributes:
        version: ``v2beta1`` or ``v1``.
        directory: logs, certificates and kubeconfigs.
        port: where it listens.
    """

    def __init__(self, binaries: Path, directory: Path, version: str) -> None:
        self.version = version
        self.directory = directory
        self._binaries = binaries
        self._processes: List[subprocess.Popen[bytes]] = []
        client, peer, self.port = free_ports(3)
        self._context = ssl.create_default_context(cafile=str(AUTHORITY))
        self.directory.mkdir(parents=True, exist_ok=True)
        tokens = [f'{n}-token,{n},{n}-uid,"{g}"' for n, g in USERS.items()]
        (directory / "tokens.csv").write_text("\n".join(tokens) + "\n")
        self._etcd = [
            "etcd", "--data-dir", str(directory / "etcd"), "--unsafe-no-fsync",
            f"--listen-client-urls=http://127.0.0.1:{client}",
            f"--advertise-client-urls=http://127.0.0.1:{client}",
            f"--listen-peer-urls=http://127.0.0.1:{peer}",
            f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
            f"--initial-cluster=default=http://127.0.0.1:{peer}",
        ]  # fmt: skip
        self._server = [
            "kube-apiserver", f"--etcd-servers=http://127.0.0.1:{client}",
            "--bind-address=127.0.0.1", f"--secure-port={self.port}",
            f"--tls-cert-file={BOTH}", f"--tls-private-key-file={BOTH}",
            f"--cert-dir={directory / 'certs'}", f"--token-auth-file={directory / 'tokens.csv'}",
            "--authorization-mode=RBAC", "--service-account-issuer=https://127.0.0.1",
            f"--service-account-signing-key-file={BOTH}", f"--service-account-key-file={BOTH}",
            "--service-cluster-ip-range=10.96.0.0/16", "--allow-privileged=true",
            # No controller makes service accounts, and none waits for what this one asks for.
            "--disable-admission-plugins=ServiceAccount",
            "--endpoint-reconciler-type=none", "--advertise-address=127.0.0.1",
            "--kubelet-preferred-address-types=InternalIP",
            "--max-requests-inflight=0", "--max-mutating-requests-inflight=0",
            # Off in 1.20: without it the time that a finished job stays is dropped.
            "--enable-priority-and-fairness=false", "--feature-gates=TTLAfterFinished=true",
        ]  # fmt: skip

    @property
    def address(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start both programs; :meth:`await_ready` waits for them."""
        for argv in (self._etcd, self._server):
            self._start(argv)

    def await_ready(self) -> None:
        """Wait until the server is ready, and serves MPIJobs."""
        self._until(lambda: self.ask("GET", "/readyz", raw=True) == "ok", "ready")
        path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        self._until(lambda: self._has_or_makes(path, self._crd()), "with the CRD")
        jobs = f"/apis/kubeflow.org/{self.version}/namespaces/default/mpijobs"
        self._until(lambda: self.ask("GET", jobs)["items"] is not None, "serving MPIJobs")
        self._until(lambda: self.ask("GET", "/api/v1/namespaces/default"), "with a namespace")

    def restart(self) -> None:
        """End the server and start it again; etcd goes on. What it knew by heart is forgotten."""
        server = self._processes.pop()
        server.kill()
        server.wait()
        self._start(self._server)
        self.await_ready()

    def stop(self) -> None:
        """Stop the server, then etcd; what is stored stays."""
        for process in reversed(self._processes):
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()

    def kubeconfig(
        self,
        user: str = "admin",
        *,
        namespace: str = "default",
        server: Optional[str] = None,
        token: Optional[str] = None,
    ) -> Path:
        """A kubeconfig of *user*, by way of *server* if that is given."""
        name = f"kubeconfig-{user}-{namespace}-{abs(hash((server, token)))}"
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [
                {
                    "name": "test",
                    "cluster": {
                        "server": server or self.address,
                        "certificate-authority": str(AUTHORITY),
                    },
                }
            ],
            "users": [{"name": user, "user": {"token": token or f"{user}-token"}}],
            "contexts": [
                {
                    "name": "test",
                    "context": {"cluster": "test", "user": user, "namespace": namespace},
                }
            ],
        }
        path = self.directory / name
        path.write_text(yaml.safe_dump(config))
        return path

    def ask(
        self,
        method: str,
        path: str,
        body: Optional[Dict[str, Any]] = None,
        *,
        user: str = "admin",
        raw: bool = False,
    ) -> Any:
        """One request to the server, without bertkit and its client."""
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        request = urllib.request.Request(
            self.address + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {user}-token", "Content-Type": kind},
        )
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=self._context)
        )
        try:
            with opener.open(request, timeout=60) as answer:
                text = answer.read().decode()
        except urllib.error.HTTPError as error:
            raise Refused(error.code, error.read().decode()) from None
        return text if raw else json.loads(text)

    def allow(self, user: str, namespace: str, rules: Iterable[Dict[str, List[str]]]) -> None:
        """Give *user* rights in *namespace*."""
        base = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
        name = f"{user}-{len(self.ask('GET', base + '/roles')['items'])}"
        self.ask("POST", base + "/roles", {"metadata": {"name": name}, "rules": list(rules)})
        self.ask(
            "POST",
            base + "/rolebindings",
            {
                "metadata": {"name": name},
                "roleRef": {
                    "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name,
                },
                "subjects": [
                    {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}
                ],
            },
        )  # fmt: skip

    def _start(self, argv: List[str]) -> None:
        with (self.directory / f"{argv[0]}.log").open("ab") as log:
            started = subprocess.Popen(
                [str(self._binaries / argv[0]), *argv[1:]],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                preexec_fn=dies_with_parent(),
            )  # fmt: skip
        self._processes.append(started)

    def _crd(self) -> Dict[str, Any]:
        folder = os.environ.get(CRDS)
        if not folder:
            return mpijob_crd(self.version)
        text = (Path(folder) / f"mpijob-{self.version}.yaml").read_text()
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        crd: Dict[str, Any] = yaml.load(text, Loader=loader)
        return crd

    def _has_or_makes(self, path: str, body: Dict[str, Any]) -> bool:
        try:
            self.ask("POST", path, body)
        except Refused as error:
            return error.code == 409
        return True

    def _until(self, condition: Any, what: str) -> None:
        end = time.monotonic() + 120
        trouble: object = "not tried"
        while time.monotonic() < end:
            for process in self._processes:
                if process.poll() is not None:
                    raise RuntimeError(f"{process.args!r} ended; see {self.directory}")
            try:
                if condition():
                    return
                trouble = "not yet"
            except (OSError, Refused, ValueError) as error:
                trouble = error
            time.sleep(0.05)
        raise RuntimeError(f"the API server is not {what}: {trouble}; see {self.directory}")


def free_ports(count: int) -> List[int]:
    """Ports of loopback that were free a moment ago."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports

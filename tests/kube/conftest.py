"""What the tests of Kubernetes share: bertkit called in this process, and real API servers."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Callable, Dict, Iterator, List, NamedTuple

import pytest

from bertkit.cli import bertkit
from bertkit.cli.common import exit_code_of
from tests.kube.apiserver import ApiServer

_NEEDED = ("etcd", "kube-apiserver")


class Answer(NamedTuple):
    """What a call of bertkit gave."""

    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings of whoever runs the tests."""
    for name in list(os.environ):
        if name.startswith("BERTKIT_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "no-config"))
    monkeypatch.setenv("USER", "alice")


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Calls bertkit in this process."""

    def run(*arguments: str) -> Answer:
        code = exit_code_of(bertkit, list(arguments))
        out, err = capsys.readouterr()
        return Answer(code, out, err)

    return run


@pytest.fixture
def objects(call: Callable[..., Answer]) -> Callable[..., List[dict]]:
    """The objects of a manifest that must come out."""
    import yaml

    def made(*arguments: str) -> List[dict]:
        answer = call("manifest", *arguments)
        assert answer.code == 0, answer.err
        return list(yaml.safe_load_all(answer.out))

    return made


@pytest.fixture(scope="session")
def _servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], ApiServer]]:
    folder = os.environ.get("KUBEBUILDER_ASSETS")
    if not folder:
        pytest.skip("KUBEBUILDER_ASSETS names no folder with etcd and kube-apiserver")
    binaries = Path(folder)
    missing = [name for name in _NEEDED if not os.access(binaries / name, os.X_OK)]
    if missing:
        pytest.fail(f"KUBEBUILDER_ASSETS={folder} has no {' and no '.join(missing)}")
    running: Dict[str, ApiServer] = {}

    def get(version: str) -> ApiServer:
        if version not in running:
            server = ApiServer(binaries, tmp_path_factory.mktemp(f"api-{version}"), version)
            running[version] = server
            server.start()
            server.await_ready()
        return running[version]

    yield get
    for server in running.values():
        server.stop()


@pytest.fixture(scope="session")
def api(_servers: Callable[[str], ApiServer]) -> ApiServer:
    """The API server with MPIJobs of v2beta1."""
    return _servers("v2beta1")


@pytest.fixture(scope="session", params=["v2beta1", "v1"])
def each_api(_servers: Callable[[str], ApiServer], request: pytest.FixtureRequest) -> ApiServer:
    """One API server after the other, by the version of MPIJob."""
    return _servers(request.param)


_numbers = itertools.count(1)


@pytest.fixture
def new_namespace() -> Callable[[ApiServer], str]:
    """Makes a namespace of the test's own on a server, and gives its name."""

    def make(server: ApiServer) -> str:
        name = f"test-{next(_numbers)}"
        server.ask("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        return name

    return make

"""Every manifest is stored whole by a real API server: read back, nothing is missing."""

from __future__ import annotations

from typing import Any, Callable, Dict, List

import pytest

from .apiserver import ApiServer
from .kinds import KINDS
from .test_manifest import pod_specs

#: what the tests' server is too old for; `bertkit submit` refuses that beforehand
UNKNOWN_TO_1_20 = {
    name: [".spec.completionMode: 'Indexed' became None"]
    for name in ("data-wiki-indexed", "data-pack-indexed")
}
_COLLECTIONS = {"Pod": "/api/v1", "Job": "/apis/batch/v1"}


def collection(built: Dict[str, Any], namespace: str) -> str:
    """The server's path for objects of that kind."""
    kind = built["kind"]
    prefix = _COLLECTIONS.get(kind, f"/apis/{built['apiVersion']}")
    return f"{prefix}/namespaces/{namespace}/{kind.lower()}s"


def lost(sent: Any, stored: Any, place: str = "") -> List[str]:
    """The places of *sent* that *stored* has not, or has otherwise; what it has more is its own."""
    if isinstance(sent, dict) and isinstance(stored, dict):
        return [each for key in sent for each in lost(sent[key], stored.get(key), f"{place}.{key}")]
    if isinstance(sent, list) and isinstance(stored, list) and len(sent) == len(stored):
        pairs = enumerate(zip(sent, stored))
        return [each for i, (a, b) in pairs for each in lost(a, b, f"{place}[{i}]")]
    return [] if sent == stored else [f"{place}: {sent!r} became {stored!r}"]


def test_what_a_server_drops_is_noticed() -> None:
    assert lost({"a": [1, {"b": 2}]}, {"a": [1, {}], "c": 3}) == [".a[1].b: 2 became None"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_stored_whole(
    kind: str,
    each_api: ApiServer,
    new_namespace: Callable[[ApiServer], str],
    objects: Callable[..., List[Dict[str, Any]]],
) -> None:
    namespace = new_namespace(each_api)
    arguments = KINDS[kind]
    if arguments[0] == "train":
        arguments = (*arguments, "--mpijob-version", each_api.version)
    for built in objects(*arguments, "--namespace", namespace):
        stored = each_api.ask("POST", collection(built, namespace), built)
        assert lost(built, stored) == UNKNOWN_TO_1_20.get(kind, [])
        for number, spec in enumerate(pod_specs(built)):
            pod = {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": f"pod-{number}"},
                "spec": {"restartPolicy": "Never", **spec},
            }
            path = f"/api/v1/namespaces/{namespace}/pods?dryRun=All"
            assert lost(pod, each_api.ask("POST", path, pod)) == []

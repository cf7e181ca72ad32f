"""The options of commands that talk to a cluster: which one, as whom, and where in it."""

from __future__ import annotations

import functools
from typing import Any, Callable, List, Mapping, Optional, TypeVar

import click

from bertkit.cli.options import PATH
from bertkit.kube.cluster import Cluster
from bertkit.kube.connect import connect

_Function = TypeVar("_Function", bound=Callable[..., Any])

WHICH_CLUSTER = [
    click.Option(
        ["--kubeconfig"],
        type=PATH,
        metavar="FILE",
        show_default="KUBECONFIG, then ~/.kube/config, then the pod's own account",
        help="Which clusters there are, and who you are there.",
    ),
    click.Option(
        ["--context"], metavar="NAME", show_default="its current one", help="Of the kubeconfig."
    ),
]
NAMESPACE = click.Option(
    ["--namespace", "-n"], metavar="NAME", show_default="the context's", help="Where the job is."
)


def in_cluster(function: _Function) -> _Function:
    """Give a command ``--kubeconfig``, ``--context`` and ``--namespace``, as one ``Cluster``."""

    @functools.wraps(function)
    def wrapper(*args: Any, **options: Any) -> Any:
        return function(*args, cluster=connected(options), **options)

    params: List[click.Parameter] = [*WHICH_CLUSTER, NAMESPACE]
    wrapper.__click_params__ = [*getattr(function, "__click_params__", []), *params]  # type: ignore[attr-defined]
    return wrapper  # type: ignore[return-value]


def connected(options: Any, namespace: Optional[str] = None) -> Cluster:
    """The cluster that *options* name; they are taken out of it."""
    asked: Mapping[str, Any] = {key: options.pop(key, None) for key in _NAMES}
    return connect(
        kubeconfig=asked["kubeconfig"],
        context=asked["context"],
        namespace=asked["namespace"] or namespace,
    )


_NAMES = ("kubeconfig", "context", "namespace")

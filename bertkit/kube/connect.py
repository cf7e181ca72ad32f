"""Which cluster: found as ``kubectl`` finds it, by the official Python client."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any, Dict, Mapping, Optional

from bertkit.errors import EnvironmentUnfit
from bertkit.kube.cluster import Cluster
from bertkit.kube.trouble import first_line, no_client

_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


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
        why=first_line(error) or type(error).__name__,
        next_step="kubectl config get-contexts; then --kubeconfig FILE or --context NAME",
    )

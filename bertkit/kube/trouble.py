"""What can go wrong between here and a cluster, in words, with a next step."""

from __future__ import annotations

import json
from typing import Any, Dict, List, Optional

from bertkit.errors import EnvironmentUnfit, UsageProblem
from bertkit.kube.kinds import Kind

_VERBS = {"POST": "create", "GET": "get", "DELETE": "delete", "PATCH": "patch", "PUT": "update"}
_LOOK_AGAIN = "wait a little and run the same command again"


class Refused(EnvironmentUnfit):
    """The cluster answered, and the answer is no.

    Attributes:
        status: the HTTP status.
        reason: Kubernetes' own word for it, such as ``AlreadyExists``.
    """

    status = 0
    reason = ""


class Unreachable(EnvironmentUnfit):
    """The cluster does not answer, or not to the end."""


def verb_of(method: str, *, name: Optional[str], watch: bool = False) -> str:
    """The verb that a user's rights know a request by."""
    if watch:
        return "watch"
    return "list" if method == "GET" and name is None else _VERBS[method]


def refused(
    status: int,
    body: object,
    *,
    verb: str,
    kind: Optional[Kind],
    namespace: str,
    name: Optional[str],
    server: str,
    below: str = "",
) -> Refused:
    """An answer that is not 2xx as an error.

    Args:
        status: of HTTP.
        body: the answer's: a ``Status`` object as JSON, if it is what it should be.
        verb, kind, namespace, name, below: what was asked for.
        server: the cluster's address.
    """
    said = _status_of(body)
    message = str(said.get("message") or "").strip() or f"HTTP {status}"
    reason = str(said.get("reason") or "")
    plural = kind.where if kind else "the server's resources"
    if below:
        plural += f"/{below}"
    thing = f"{kind.name} {name}" if kind and name else plural
    here = f"namespace {namespace} of {server}"
    what, why, next_step = f"the cluster refuses to {verb} {thing}", message, _LOOK_AGAIN
    if status == 401:
        what = "the cluster does not know this token (it may have expired)"
        why = f"{server} answered: {message}"
        next_step = "log in again (renew the token in your kubeconfig), or choose --context"
    elif status == 403 and "exceeded quota" in message:
        what = f"{thing} does not fit into the quota of namespace {namespace}"
        next_step = (
            f"kubectl -n {namespace} describe resourcequota; ask for less, or wait for other "
            "jobs to end"
        )
    elif status == 403 and "User " in message and " cannot " in message:
        what = f"this token may not {verb} {plural} in namespace {namespace}"
        next_step = (
            f"ask for the right to {verb} {plural} in namespace {namespace}, or choose "
            "--context or --namespace"
        )
    elif status == 403:
        next_step = "change what the cluster objects to, or ask whoever runs it"
    elif status == 404 and _is_about(said, "namespaces"):
        what = f"there is no namespace {namespace}"
        next_step = "kubectl get namespaces; then choose --namespace"
    elif status == 404 and not said.get("details", {}).get("name"):
        what = f"the cluster has no resource {plural}"
        next_step = (
            "ask for the MPI operator, or take the version that it has: --mpijob-version"
            if kind and kind.name == "MPIJob"
            else "choose another --context"
        )
    elif status == 404:
        what, next_step = f"there is no {thing}", f"bertkit status --namespace {namespace}"
    elif status == 409 and reason == "AlreadyExists":
        what = f"there is already a {thing}"
        next_step = "take another --name, or end that one: bertkit cancel"
    elif status == 409:
        what = f"{thing} was changed by someone else at the same moment"
        next_step = "run the same command again"
    elif status in (400, 422):
        what = f"the cluster finds {thing} invalid"
        causes = _causes(said)
        why = "; ".join(causes) if causes else message
        next_step = "mend the manifest; `bertkit manifest --check FILE` says more"
    error = Refused(what, where=here, why=why[:1000], next_step=next_step)
    error.status, error.reason = status, reason
    if status in (400, 422):
        error.exit_code = UsageProblem.exit_code
    return error


def unreachable(server: str, why: str) -> Unreachable:
    """No answer at all, or one that broke off."""
    return Unreachable(
        "the cluster does not answer",
        where=server,
        why=why,
        next_step="see that the address in your kubeconfig is right and that you are on its "
        "network; kubectl version",
    )


def no_client() -> EnvironmentUnfit:
    """The Python client of Kubernetes is not installed."""
    return EnvironmentUnfit(
        "this needs the Python client of Kubernetes, which is not installed",
        next_step="pip install '.[kube]' in bertkit's clone",
    )


def _status_of(body: object) -> Dict[str, Any]:
    if isinstance(body, bytes):
        body = body.decode("utf-8", "replace")
    try:
        said = json.loads(body) if isinstance(body, str) else {}
    except ValueError:
        return {"message": str(body)[:300]}
    if not isinstance(said, dict):
        return {}
    if not isinstance(said.get("details"), dict):
        said["details"] = {}
    return said


def _is_about(said: Dict[str, Any], plural: str) -> bool:
    return bool(said.get("details", {}).get("kind") == plural)


def _causes(said: Dict[str, Any]) -> List[str]:
    causes = said.get("details", {}).get("causes") or []
    return [
        f"{each.get('field')}: {each.get('message')}" for each in causes if isinstance(each, dict)
    ]


def first_line(error: object) -> str:
    """What an error of the client says, in one line."""
    text = str(error).strip().splitlines()
    # "<urllib3...HTTPSConnection object at 0x7f...>: Failed to ..." is no news but for its end
    return (text[-1] if text else type(error).__name__).rpartition(">: ")[2][:300]

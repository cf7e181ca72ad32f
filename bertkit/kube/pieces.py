"""Documents become pieces that can be submitted: known kinds, usable names, one namespace."""

from __future__ import annotations

import copy
import logging
import sys
from pathlib import Path
from typing import Any, List, NamedTuple, Optional, Sequence, Tuple

from bertkit.errors import BertkitError, SeveralProblems, UsageProblem
from bertkit.kube import names
from bertkit.kube.cluster import Cluster
from bertkit.kube.jobs import MANAGED
from bertkit.kube.kinds import JOBS, SUBMITTABLE, Kind, Object, meta
from bertkit.kube.lint.findings import ERROR, Finding
from bertkit.kube.trouble import Refused

log = logging.getLogger("bertkit")


class Piece(NamedTuple):
    """One object that is to be made."""

    kind: Kind
    body: Object

    @property
    def name(self) -> str:
        """Its name."""
        return str(meta(self.body)["name"])

    @property
    def is_job(self) -> bool:
        """Whether it is something that runs and ends."""
        return self.kind in JOBS

    def __str__(self) -> str:
        return f"{self.kind.name} {self.name}"


def namespace_of(documents: Sequence[Object]) -> Optional[str]:
    """The one namespace that *documents* name; None if they name none.

    Raises:
        UsageProblem: they name several.
    """
    found = sorted({str(meta(each)["namespace"]) for each in documents if _named(each)})
    if len(found) > 1:
        raise UsageProblem(
            f"these objects are for several namespaces: {', '.join(found)}",
            next_step="submit them one namespace at a time",
        )
    return found[0] if found else None


def pieces(documents: Sequence[object], cluster: Cluster) -> List[Piece]:
    """*documents* as what can be submitted to *cluster*, labelled as bertkit's.

    Raises:
        UsageProblem: something in them cannot be submitted; all of it is told at once.
        Refused: the cluster has no such resource.
    """
    flat: List[Any] = []
    for document in documents:
        is_list = isinstance(document, dict) and document.get("kind") == "List"
        flat += (document.get("items") or []) if is_list else [document]  # type: ignore[attr-defined]
    problems: List[BertkitError] = []
    found = []
    for document in flat:
        try:
            found.append(_piece(document, cluster.namespace))
        except UsageProblem as error:
            problems.append(error)
    if problems:
        raise problems[0] if len(problems) == 1 else SeveralProblems(problems)
    if not found:
        raise UsageProblem("there is nothing to submit", next_step="bertkit manifest --help")
    for piece in found:
        if piece.kind.name == "MPIJob":
            _check_served(cluster, piece.kind)
    return found


def templates(piece: Piece) -> List[Tuple[str, Object]]:
    """The pod templates of *piece*, by their roles."""
    spec = piece.body.get("spec") or {}
    if piece.kind.name == "MPIJob":
        found = []
        for role, replica in sorted((spec.get("mpiReplicaSpecs") or {}).items()):
            template = dict((replica or {}).get("template") or {})
            # The operator puts the replica's policy into the pod.
            policy = (replica or {}).get("restartPolicy")
            if policy and isinstance(template.get("spec"), dict):
                template["spec"] = {**template["spec"], "restartPolicy": policy}
            found.append((str(role).lower(), template))
        return found
    return [("pod", spec.get("template") or {})] if piece.kind.name == "Job" else []


def _piece(document: object, namespace: str) -> Piece:
    if not isinstance(document, dict) or not isinstance(document.get("metadata"), dict):
        raise UsageProblem("this document is no Kubernetes object: it lacks kind or metadata")
    key = (document.get("kind"), document.get("apiVersion"))
    kind = SUBMITTABLE.get(key)
    if kind is None:
        raise UsageProblem(
            f"{key[0]} of {key[1]} is nothing that bertkit submits",
            why="it submits MPIJobs, Jobs, Pods, ConfigMaps and PersistentVolumeClaims",
            next_step="kubectl apply -f FILE",
        )
    name = document["metadata"].get("name")
    if not isinstance(name, str) or not name:
        raise UsageProblem(
            f"a {kind.name} has no name",
            why="bertkit follows jobs by their names; generateName gives one that nobody knows",
            next_step="write metadata.name",
        )
    if kind in JOBS:
        spec = document.get("spec") or {}
        worker = ((spec.get("mpiReplicaSpecs") or {}).get("Worker") or {}).get("replicas") or 0
        why = names.trouble(name, workers=worker if isinstance(worker, int) else 0)
        if why is not None:
            raise UsageProblem(
                f"a {kind.name} cannot have this name", why=why, next_step="take another: --name"
            )
    body = copy.deepcopy(document)
    body["metadata"]["namespace"] = namespace
    labels = body["metadata"].get("labels") or {}
    body["metadata"]["labels"] = {**labels, MANAGED[0]: MANAGED[1]}
    return Piece(kind, body)


def _check_served(cluster: Cluster, kind: Kind) -> None:
    served = cluster.mpijob_kinds()
    if kind in served:
        return
    has = " and ".join(each.api for each in served)
    version = served[0].api.rpartition("/")[2] if served else ""
    error = Refused(
        f"this cluster has no MPIJobs of {kind.api}",
        where=cluster.server,
        why=f"it has those of {has}" if has else "it lacks the MPI operator",
        next_step=f"say --mpijob-version {version}"
        if version
        else "ask whoever runs the cluster for the MPI operator, or run on one card (a Job)",
    )
    error.status = 404
    raise error


def _named(document: object) -> bool:
    return isinstance(document, dict) and bool(meta(document).get("namespace"))


def read_files(files: Sequence[Path]) -> List[Any]:
    """The documents of YAML *files*, none of which has an error that the check finds.

    Raises:
        UsageProblem: a file cannot be read, is no YAML that bertkit reads, or has errors.
    """
    from bertkit.kube import lint
    from bertkit.strict_yaml import parse_documents, read_text

    documents: List[Any] = []
    for path in files:
        where: object = path
        if str(path) == "-":
            text, where = sys.stdin.read(), "standard input"
        else:
            text = read_text(path)
        found = [each for each in parse_documents(text, where=where) if each.value is not None]
        _refuse_errors(lint.check(found, source=text.splitlines()), where)
        documents += [each.value for each in found]
    return documents


def checked(documents: Sequence[Any]) -> Sequence[Any]:
    """*documents*, in which the check finds no error.

    Raises:
        UsageProblem: it does; all errors are told at once.
    """
    from bertkit.kube import lint

    _refuse_errors(lint.check(documents), "the manifest")
    return documents


def _refuse_errors(findings: Sequence[Finding], where: object) -> None:
    errors: List[BertkitError] = []
    for finding in findings:
        line = f", line {finding.line}" if finding.line else ""
        if finding.level == ERROR:
            errors.append(
                UsageProblem(
                    f"{finding.what}  [{finding.rule}]",
                    where=f"{where}{line}: {finding.path or 'the whole document'}",
                    why=finding.why,
                    next_step=f"write instead: {finding.instead}",
                )
            )
        else:
            log.warning("%s%s: %s  [%s]", where, line, finding.what, finding.rule)
    if errors:
        raise errors[0] if len(errors) == 1 else SeveralProblems(errors)

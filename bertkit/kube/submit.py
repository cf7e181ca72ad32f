"""``bertkit submit``: objects become a cluster's, all of them or none."""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Sequence, Tuple

from bertkit.errors import BertkitError
from bertkit.kube.cancel import cancel
from bertkit.kube.cluster import Cluster
from bertkit.kube.dropped import dropped
from bertkit.kube.jobs import Found
from bertkit.kube.kinds import POD, Object, meta
from bertkit.kube.pieces import Piece, templates
from bertkit.kube.status import status_of
from bertkit.kube.trouble import Refused, Unreachable

log = logging.getLogger("bertkit")

#: tells what was made by this very call, also where the answer to its request was lost
_MARK = "bertkit/submission"


@dataclass(frozen=True)
class Submitted:
    """What was made, or with a dry run would have been.

    Attributes:
        namespace, server: where.
        objects: kind and name of each, in order.
        jobs: the names of those that can be followed.
        replaced: finished jobs that had to go for it.
        dry_run: nothing was made.
    """

    namespace: str
    server: str
    objects: Tuple[Tuple[str, str], ...]
    jobs: Tuple[str, ...]
    replaced: Tuple[str, ...]
    dry_run: bool

    def as_dict(self) -> Dict[str, Any]:
        """As JSON values."""
        return {
            "namespace": self.namespace,
            "server": self.server,
            "objects": [{"kind": kind, "name": name} for kind, name in self.objects],
            "jobs": list(self.jobs),
            "replaced": list(self.replaced),
            "dry_run": self.dry_run,
        }


def submit(
    cluster: Cluster, wanted: Sequence[Piece], *, dry_run: bool = False, replace: bool = False
) -> Submitted:
    """Have everything checked by the cluster, then make all of it, or nothing.

    Args:
        cluster: where.
        wanted: from :func:`bertkit.kube.pieces.pieces`.
        dry_run: stop after the checks.
        replace: a finished job of the same name goes first; its logs are kept.

    Raises:
        UsageProblem: the cluster finds something invalid.
        Refused: it says no: a job of that name, a missing right, a quota.
        Unreachable: it does not answer.
    """
    old = [found for piece in wanted for found in _in_the_way(cluster, piece, replace=replace)]
    mark = secrets.token_hex(8)
    bodies = [(piece, _marked(piece.body, mark)) for piece in wanted]
    for piece, body in bodies:
        stand_in = any(found.name == piece.name and found.kind == piece.kind for found in old)
        _check(cluster, piece, body, under_another_name=stand_in)
    result = Submitted(
        namespace=cluster.namespace,
        server=cluster.server,
        objects=tuple((piece.kind.name, piece.name) for piece in wanted),
        jobs=tuple(piece.name for piece in wanted if piece.is_job),
        replaced=tuple(found.name for found in old),
        dry_run=dry_run,
    )
    if dry_run:
        return result
    for found in old:
        _replace(cluster, found)
    _make_all(cluster, bodies, mark)
    return result


def _in_the_way(cluster: Cluster, piece: Piece, *, replace: bool) -> List[Found]:
    """The finished job of the same name, if it may go.

    Raises:
        Refused: there is one that may not.
    """
    there = cluster.find(piece.kind, piece.name)
    if there is None:
        return []
    found = Found(piece.kind, {**there, "kind": piece.kind.name})
    phase = status_of(found.job, [found.job] if piece.kind == POD else []).phase
    if piece.is_job and phase in ("succeeded", "failed"):
        if replace:
            return [found]
        why, next_step = f"it has {phase}", "--replace keeps its logs, deletes it and goes on"
    elif piece.is_job:
        why = "it is being deleted" if phase == "ending" else "it has not ended"
        next_step = f"bertkit status {piece.name}; another --name, or bertkit cancel {piece.name}"
    else:
        why = "bertkit changes nothing that is there already"
        next_step = "leave it out of the file, or give it another name"
    error = Refused(
        f"there is already a {piece}",
        where=f"namespace {cluster.namespace} of {cluster.server}",
        why=why,
        next_step=next_step,
    )
    error.status, error.reason = 409, "AlreadyExists"
    raise error


def _check(cluster: Cluster, piece: Piece, body: Object, *, under_another_name: bool) -> None:
    """Have the cluster check an object, and each of its pod templates as a pod."""
    if under_another_name:
        body = {**body, "metadata": {**body["metadata"], "name": _similar(piece.name)}}
    _tell_dropped(piece, dropped(body, cluster.create(piece.kind, body, dry_run=True)))
    for role, template in templates(piece):
        pod = {
            "apiVersion": POD.api,
            "kind": POD.name,
            "metadata": {
                "name": _similar(f"{piece.name}-{role}"),
                "namespace": cluster.namespace,
                "labels": meta(template).get("labels") or {},
                "annotations": meta(template).get("annotations") or {},
            },
            "spec": template.get("spec"),
        }
        try:
            cluster.create(POD, pod, dry_run=True)
        except Refused as error:
            if error.status == 403 and " cannot create " in str(error.why):
                log.warning(
                    "the pods of %s are not checked beforehand: this token may not create pods",
                    piece,
                )
                continue
            error.what = f"the {role} pod of {piece}: {error.what}"
            raise


def _tell_dropped(piece: Piece, places: Sequence[str]) -> None:
    """Say what this cluster does not know of *piece*.

    Raises:
        Refused: without it each pod would do the whole work.
    """
    if "spec.completionMode" in places:
        error = Refused(
            f"this cluster knows no indexed Jobs, as {piece} is one",
            where="spec.completionMode",
            why="Kubernetes before 1.22 drops that, and each pod would do the same work",
            next_step="one job for each share: --share I/N instead of --indexed N",
        )
        error.status = 422
        raise error
    if places:
        log.warning(
            "this cluster does not know, and leaves out of %s: %s", piece, ", ".join(places)
        )


def _similar(name: str) -> str:
    """A name that nobody has, as long as *name* unless that is very short."""
    return f"{name[:56]}"[:-6].rstrip("-.") + f"x{secrets.token_hex(3)}"


def _marked(body: Object, mark: str) -> Object:
    annotations = {**(meta(body).get("annotations") or {}), _MARK: mark}
    return {**body, "metadata": {**body["metadata"], "annotations": annotations}}


def _replace(cluster: Cluster, found: Found) -> None:
    gone = cancel(cluster, found)
    if gone.left:
        raise Refused(
            f"the finished {found.kind.name} {found.name} does not go",
            where=f"namespace {cluster.namespace}",
            why=f"still there: {', '.join(gone.left)}",
            next_step="take another --name, or try again later",
        )
    if gone.logs:
        log.info("the logs of the job before are in %s", gone.logs)


def _make_all(cluster: Cluster, bodies: Sequence[Tuple[Piece, Object]], mark: str) -> None:
    tried: List[Piece] = []
    try:
        for piece, body in bodies:
            tried.append(piece)
            try:
                cluster.create(piece.kind, body)
            except Unreachable:
                # The request may have arrived, and only its answer been lost.
                if not _is_ours(cluster, piece, mark):
                    raise
    except BaseException:  # also Ctrl-C: nothing stays half submitted
        _undo(cluster, tried, mark)
        raise


def _is_ours(cluster: Cluster, piece: Piece, mark: str) -> Optional[str]:
    """The uid of *piece* if it is there and this call made it."""
    there = cluster.find(piece.kind, piece.name)
    about = meta(there or {})
    return str(about["uid"]) if (about.get("annotations") or {}).get(_MARK) == mark else None


def _undo(cluster: Cluster, tried: Sequence[Piece], mark: str) -> None:
    for piece in reversed(tried):
        try:
            uid = _is_ours(cluster, piece, mark)
            if uid is not None:
                cluster.delete(piece.kind, piece.name, uid)
                log.warning("undone: %s", piece)
        except BertkitError as error:
            log.warning(
                "%s may have been left behind (%s): see `kubectl get %s %s`",
                piece,
                error.why or error.what,
                piece.kind.plural,
                piece.name,
            )

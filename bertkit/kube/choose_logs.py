"""Which pods' logs are meant."""

from __future__ import annotations

from typing import List, NamedTuple, Optional

from bertkit.errors import EnvironmentUnfit, UsageProblem
from bertkit.kube import words
from bertkit.kube.belonging import role_and_number
from bertkit.kube.cluster import Cluster
from bertkit.kube.jobs import Found, pods_of
from bertkit.kube.kinds import Object, meta
from bertkit.kube.logs import Source, sources


class Printing(NamedTuple):
    """A pod, and its containers that have printed something or may."""

    pod: Object
    sources: List[Source]


def chosen(
    cluster: Cluster, found: Found, *, worker: Optional[int] = None, everyone: bool = False
) -> List[Printing]:
    """The pods of a job whose logs are meant: the launcher, else the one pod there is.

    Args:
        cluster: where.
        found: the job.
        worker: the worker (or the share of an indexed Job) with this number instead.
        everyone: all pods.

    Raises:
        UsageProblem: there is no such worker.
        EnvironmentUnfit: the pod does not print yet, or is no more; says what it does.
    """
    pods = pods_of(cluster, found)
    if everyone:
        return [Printing(pod, sources(pod)) for pod in pods]
    roles = [(pod, *role_and_number(pod, found.job)) for pod in pods]
    if worker is not None:
        own = [pod for pod, _, number in roles if number == worker]
        numbers = sorted(number for _, _, number in roles if number is not None)
        if not own:
            raise UsageProblem(
                f"{found.name} has no worker {worker}",
                why=f"there are {', '.join(map(str, numbers))}" if numbers else "there is none now",
                next_step=f"bertkit status {found.name}",
            )
    else:
        own = [pod for pod, role, _ in roles if role == "launcher"]
        if not own and found.kind.name != "MPIJob":
            own = [pod for pod, _, _ in roles]
    if not own:
        raise EnvironmentUnfit(
            f"{found.name} has no {'launcher' if found.kind.name == 'MPIJob' else 'pod'} now",
            why="it is not there yet, or was deleted",
            next_step=f"bertkit status {found.name}",
        )
    # A launcher that failed is started anew as another pod: the newest counts.
    newest = max(own, key=lambda pod: str(meta(pod).get("creationTimestamp")))
    printing = Printing(newest, sources(newest))
    if not printing.sources:
        wrong = "; ".join(words.wrong(newest))
        raise EnvironmentUnfit(
            f"{meta(newest).get('name')} has printed nothing yet",
            why=f"it {words.doing(newest)}" + (f": {wrong}" if wrong else ""),
            next_step=f"bertkit status {found.name}",
        )
    return [printing]

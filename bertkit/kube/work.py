"""What is to run in the cluster: one call of bertkit, and what it needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple


@dataclass(frozen=True)
class Work:
    """One call of bertkit inside pods.

    Attributes:
        job: a short name, such as ``phase1`` or ``data-wiki``; part of the manifest's name.
        component: ``train``, ``data`` or ``prepare-repo``.
        title: one line for people.
        arguments: bertkit's own arguments, as they are inside the pod.
        cards: HPUs of each node, and ranks on it; 0 for work without ranks.
        nodes: nodes with that many cards.
        device: ``hpu``, or ``cpu`` for ranks without HPUs.
        resources: which amounts of the settings a pod without cards gets: ``data`` or ``small``.
        shares: pods that share the work of a data stage; 1 for one pod.
        needs_storage: paths that must be on storage which outlives the pod.
        notes: how numbers came about, and what the user should know; shown as comments.
    """

    job: str
    component: str
    title: str
    arguments: Tuple[str, ...]
    cards: int = 0
    nodes: int = 1
    device: str = "hpu"
    resources: str = "small"
    shares: int = 1
    needs_storage: Tuple[str, ...] = ()
    notes: Tuple[str, ...] = ()

    @property
    def is_mpi(self) -> bool:
        """Whether several ranks work together, which takes an MPIJob."""
        return self.cards * self.nodes > 1

    @property
    def hpus(self) -> int:
        """HPUs of each node's pod."""
        return self.cards if self.device == "hpu" else 0

"""What a user asks for, before it is a plan."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import List, Mapping, Optional, Tuple

from bertkit.launch.nodes.hosts import Host, Location
from bertkit.launch.nodes.transport import ssh_port
from bertkit.launch.recipes.recipe import Recipe


@dataclass(frozen=True)
class Request:
    """What the user asked for, with paths made absolute.

    Attributes:
        recipe: the job.
        model: ``large``, ``base`` or ``tiny``.
        cards: ranks on each node.
        device: ``hpu`` or ``cpu``.
        repo: the prepared checkout.
        data: the data directory.
        output: the run's own directory.
        init_checkpoint: prefix of the checkpoint to start from, or None.
        steps, batch, global_batch: instead of the recipe's, or None.
        extra_flags: flags of upstream's own, passed on as they are.
        python: the interpreter of the ranks.
        remarks: what was noticed on the way to this request.
        location: where the run takes place.
        hosts: those of its hosts that are taken; empty: this machine alone.
        ssh_port: the user's; None: as it follows from the place.
        scale_out: ``gaudi`` or ``host``: whose network joins the nodes; None: as it is set up.
        packed: train on packed records.
        evaluate: evaluate after pre-training.
        profile: ``FIRST,LAST`` pass to trace, or None.
        corpus: the corpus' name; None: the one that is there.
        pretrained: the directory of the pretrained model it starts from, or None.
    """

    recipe: Recipe
    model: str
    cards: int
    device: str
    repo: Path
    data: Path
    output: Path
    init_checkpoint: Optional[Path]
    steps: Optional[int]
    extra_flags: Tuple[str, ...]
    python: Path
    remarks: Tuple[str, ...] = ()
    location: Location = Location("machine")
    hosts: Tuple[Host, ...] = ()
    ssh_port: Optional[int] = None
    scale_out: Optional[str] = None
    batch: Optional[int] = None
    global_batch: Optional[int] = None
    packed: bool = False
    evaluate: bool = False
    profile: Optional[str] = None
    corpus: Optional[str] = None
    pretrained: Optional[Path] = None

    @property
    def options(self) -> List[str]:
        """The recipe's options that are chosen."""
        chosen = {"packed": self.packed, "eval": self.evaluate, "profile": self.profile is not None}
        return [name for name, wanted in chosen.items() if wanted]

    @property
    def ranks(self) -> int:
        """Ranks on all nodes together."""
        return self.cards * max(1, len(self.hosts))

    @property
    def by_kubectl(self) -> bool:
        """Whether the nodes are reached by ``kubectl exec``."""
        return self.location.kind == "mpijob-v1"

    def ssh_port_from(self, environ: Mapping[str, str]) -> Optional[int]:
        """The port that ssh must be told, by the caller's *environ* too; None: ssh's own."""
        in_pods = self.location.in_pods
        return ssh_port(environ, self.ssh_port, in_pods=in_pods, hpu=self.device == "hpu")

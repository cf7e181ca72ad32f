"""From files that are fetched to a stage that is done."""

from __future__ import annotations

import logging
import shlex
from pathlib import Path
from typing import Callable, Dict, List, NamedTuple, Optional

from bertkit.data.download import Patience, Remote, fetch
from bertkit.data.download.pins import read_pin
from bertkit.data.download.transfer import Check
from bertkit.data.layout import DataLayout
from bertkit.data.stages.manifest import Stage, carry_out, finished
from bertkit.errors import DataDamaged
from bertkit.files import exclusive

log = logging.getLogger("bertkit.data")

#: makes the stage of files by name, given the SHA-256 of each
StageOf = Callable[[Dict[str, str]], Stage]


class Asked(NamedTuple):
    """How the user wants data to be had.

    Attributes:
        root: the data directory.
        given: ``--from``: a directory or a mirror, instead of the published addresses.
        patience: how long to wait for servers.
        dry_run: only say what would be done.
    """

    root: Path
    given: Optional[str] = None
    patience: Patience = Patience()
    dry_run: bool = False

    @property
    def layout(self) -> DataLayout:
        """The paths below the data directory."""
        return DataLayout(self.root)

    @property
    def downloads(self) -> Path:
        """Where files lie as they came."""
        return self.root / "download"


class Prepared(NamedTuple):
    """Data that is ready, or with a dry run: that would be.

    Attributes:
        stage: what it is.
        output: its directory or file.
        state: ``made``, ``was there`` or ``would be made``.
        counts: what is in it.
        sources: the files that it is made of, with the addresses that they came or would come from.
    """

    stage: str
    output: Path
    state: str
    counts: Dict[str, int]
    sources: Dict[str, str]


def prepare(
    asked: Asked, remotes: Dict[str, Remote], stage_of: StageOf, check: Optional[Check] = None
) -> Prepared:
    """Have *remotes* and make the stage of them; does nothing where it is made already.

    Raises:
        DownloadFailed, DataDamaged, EnvironmentUnfit: see ``fetch`` and ``carry_out``.
    """
    done = _done_before(asked, remotes, stage_of)
    if done is not None:
        return done
    if asked.dry_run:
        stage = stage_of({})
        sources = {name: asked.given or remote.addresses[0] for name, remote in remotes.items()}
        return Prepared(stage.name, stage.output, "would be made", {}, sources)
    fetched = {
        name: fetch(
            remote, asked.downloads, given=asked.given, patience=asked.patience, check=check
        )
        for name, remote in remotes.items()
    }
    stage = stage_of({name: each.sha256 for name, each in fetched.items()})
    with exclusive(asked.layout.lock, purpose=f"{stage.name} in {asked.root}"):
        manifest, was_there = carry_out(stage, asked.layout)
    sources = {name: each.address for name, each in fetched.items()}
    state = "was there" if was_there else "made"
    return Prepared(stage.name, stage.output, state, manifest.counts, sources)


def _done_before(asked: Asked, remotes: Dict[str, Remote], stage_of: StageOf) -> Optional[Prepared]:
    """The stage as it was made of files that were fetched once, though they may be gone since."""
    pins = {name: read_pin(asked.downloads / remote.place) for name, remote in remotes.items()}
    known = {name: pin for name, pin in pins.items() if pin is not None}
    if len(known) < len(remotes):
        return None
    stage = stage_of({name: pin.sha256 for name, pin in known.items()})
    manifest = finished(stage)
    if manifest is None:
        return None
    sources = {name: pin.address for name, pin in known.items()}
    return Prepared(stage.name, stage.output, "was there", manifest.counts, sources)


def expect(counts: Dict[str, int], wanted: Dict[str, int], where: Path) -> None:
    """Compare *counts* with those that are published.

    Raises:
        DataDamaged: they differ.
    """
    wrong = [
        f"{count:,} {name}, not {wanted[name]:,}"
        for name, count in counts.items()
        if count != wanted[name]
    ]
    if wrong:
        raise DataDamaged(
            "the files are not the ones that are published",
            where=where,
            why="; ".join(wrong),
            next_step=f"move them away, with what lies beside them, and run this again: {where}",
        )


def commands_for(task: str, layout: DataLayout, *, pretrained: bool) -> List[str]:
    """What to run next to train *task*.

    Args:
        task: ``mrpc`` or ``squad``.
        layout: the data directory.
        pretrained: whether a pretrained model is there to start from.
    """
    data = shlex.quote(str(layout.root))
    first = [] if pretrained else [f"bertkit data pretrained --data {data}"]
    return [*first, f"bertkit train --task {task} --data {data} --init-checkpoint pretrained"]

"""Holds the series against every release of the catalogue, without a checkout of any."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import List, Optional, Tuple

from bertkit.errors import EnvironmentUnfit, PatchMisfit
from bertkit.patching.chain import APPLICABLE, walk
from bertkit.patching.model import Series
from bertkit.patching.originals import git_blob
from bertkit.patching.state import PatchState, paths_in, states_of_blobs
from bertkit.upstream import catalogue

# What a patch may be in an untouched release.
GOOD = ("applicable", "upstreamed", "unsupported-release")


@dataclass(frozen=True)
class ReleaseRow:
    """One release: the state of each patch in it, and what went wrong with real contents."""

    release: str
    patches: Tuple[PatchState, ...]
    problems: Tuple[str, ...] = ()

    @property
    def fits(self) -> bool:
        """Whether the whole series applies to the release."""
        return not self.problems and all(patch.state in GOOD for patch in self.patches)


def matrix(series: Series, mirror: Optional[Path] = None) -> Tuple[ReleaseRow, ...]:
    """The states of all patches in all releases that carry TensorFlow BERT.

    Args:
        series: the patches.
        mirror: a local clone of upstream; with it every diff is also applied to the real content,
            in memory, and taken back.

    Raises:
        EnvironmentUnfit: *mirror* is not a git repository.
    """
    if mirror is not None and not any((mirror / name).exists() for name in ("HEAD", ".git")):
        raise EnvironmentUnfit(
            "this is no local clone of upstream",
            where=mirror,
            next_step="git clone --mirror https://github.com/HabanaAI/Model-References DIRECTORY",
        )
    rows = []
    for release in catalogue.with_bert():
        found = states_of_blobs(dict(release.files), release.version, series)
        problems: List[str] = []
        if mirror is not None:
            for path in paths_in(series, release.version):
                blob = release.files.get(path)
                if blob is not None:
                    problems += _tried(series, release.version, path, blob, mirror)
        rows.append(ReleaseRow(release.version, found, tuple(problems)))
    return tuple(rows)


def _tried(series: Series, release: str, path: str, blob: str, mirror: Path) -> List[str]:
    """What goes wrong when the diffs of *path* are applied to the real content and undone."""
    original = git_blob(mirror, blob)
    if original is None:
        return [f"{path}: the clone lacks {blob[:12]}"]
    content = original
    diffs = []
    try:
        for outcome in walk(series, release, path, blob, {p.id for p in series.patches}):
            if outcome.state == APPLICABLE and outcome.step is not None:
                diffs.append(outcome.step.image.read(path))
                content = diffs[-1].apply(content)
        for diff in reversed(diffs):
            content = diff.unapply(content)
    except PatchMisfit as error:
        return [f"{path}: {error.what}"]
    return [] if content == original else [f"{path}: is not the same after apply and unapply"]

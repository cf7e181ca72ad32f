"""A series of patches as data: which file contents each patch knows, and what it makes of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

from bertkit.errors import PatchMisfit, UsageProblem
from bertkit.patching.diffs import MAX_BYTES, Diff, parse_diff
from bertkit.patching.releases import ReleaseRange


@dataclass(frozen=True)
class Image:
    """One content of a file that a patch can change.

    Attributes:
        pre: git blob id of the content before.
        post: git blob id of the content after.
        diff: where the diff lies.
        sha256: of the diff file.
        seen_in: the releases (or ``standin``) that carry this content, for people to read.
    """

    pre: str
    post: str
    diff: Path
    sha256: str
    seen_in: str

    def read(self, path: str) -> Diff:
        """The diff itself, which must be what the index says, for the file *path*.

        Raises:
            PatchMisfit: it is missing, was changed, is refused, or disagrees with the index.
        """
        try:
            with self.diff.open("rb") as stream:
                raw = stream.read(MAX_BYTES + 1)
        except OSError as error:
            raise self._damaged(f"cannot be read: {error.strerror}") from None
        found = hashlib.sha256(raw).hexdigest()
        if found != self.sha256:
            raise self._damaged(f"its SHA-256 is {found[:12]}, patch.yaml says {self.sha256[:12]}")
        diff = parse_diff(raw, where=self.diff)
        if (diff.path, diff.pre, diff.post) != (path, self.pre, self.post):
            raise self._damaged("its path or blob ids are not those of patch.yaml")
        return diff

    def _damaged(self, why: str) -> PatchMisfit:
        return PatchMisfit(
            "a shipped diff is not what its patch says",
            where=self.diff,
            why=why,
            next_step="reinstall bertkit, or undo the edit of patches/",
        )


@dataclass(frozen=True)
class Target:
    """One file that a patch changes, in the releases that have it at this path.

    Attributes:
        path: below the top of the tree, with ``/``.
        mode: git's mode of the file, 100644 or 100755.
        releases: where the file needs the patch.
        images: the contents that the patch knows, by the blob id before.
        upstreamed: blob ids of upstream's own contents that need the patch no more.
    """

    path: str
    mode: str
    releases: ReleaseRange
    images: Dict[str, Image]
    upstreamed: Tuple[str, ...] = ()


@dataclass(frozen=True)
class Patch:
    """A folder of ``patches/``: one defect mended in every release that has it."""

    folder: Path
    id: str
    title: str
    why: str
    defect: str
    upstream_status: str
    origin: str
    releases: ReleaseRange
    targets: Tuple[Target, ...]

    def as_dict(self) -> Dict[str, Any]:
        """The patch as a JSON object."""
        return {
            "id": self.id,
            "title": self.title,
            "why": self.why,
            "defect": self.defect,
            "upstream-status": self.upstream_status,
            "origin": self.origin,
            "releases": str(self.releases),
            "files": [
                {
                    "path": target.path,
                    "releases": str(target.releases),
                    "images": {image.pre: image.post for image in target.images.values()},
                }
                for target in self.targets
            ],
        }

    def targets_in(self, release: str) -> Tuple[Target, ...]:
        """What the patch changes in *release*; empty where it has nothing to do."""
        if release not in self.releases:
            return ()
        return tuple(target for target in self.targets if release in target.releases)


@dataclass(frozen=True)
class Series:
    """The patches in the order in which they apply."""

    directory: Path
    patches: Tuple[Patch, ...]
    _order: Dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_order", {p.id: n for n, p in enumerate(self.patches)})

    def __getitem__(self, patch_id: str) -> Patch:
        return self.patches[self._order[patch_id]]

    def knows(self, patch_id: str) -> bool:
        """Whether the series has a patch of that id."""
        return patch_id in self._order

    def position(self, patch_id: str) -> int:
        """Where in the order the patch stands, from 0; one not in the series comes last."""
        return self._order.get(patch_id, len(self.patches))

    def select(self, only: Optional[Sequence[str]]) -> Tuple[Patch, ...]:
        """The patches named in *only* (all if None), in the order of the series.

        Raises:
            UsageProblem: a name is not one of the series.
        """
        if only is None:
            return self.patches
        unknown = sorted(set(only) - set(self._order))
        if unknown:
            raise UsageProblem(
                f"no such patch: {', '.join(unknown)}",
                why=f"the series has {', '.join(self._order) or 'no patches'}",
                next_step="bertkit patches list",
            )
        return tuple(patch for patch in self.patches if patch.id in set(only))

    def targets_at(self, path: str, release: str) -> List[Tuple[Patch, Target]]:
        """Who changes *path* in *release*, in the order of the series."""
        return [
            (patch, target)
            for patch in self.patches
            for target in patch.targets_in(release)
            if target.path == path
        ]

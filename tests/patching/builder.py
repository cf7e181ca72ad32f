"""Builds small trees and series, with real diffs and a real git repository around them."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path
from typing import Dict, List, Optional, Tuple

import yaml

from bertkit.blobs import blob_id
from bertkit.patching import Series, load_series
from bertkit.patching.write import git_environment, make_diff
from bertkit.upstream.lock import Lock, write_lock

RELEASE = "1.13.0"
Edit = Tuple[str, bytes, bytes]


class Workshop:
    """A tree under git and a folder of patches for it."""

    def __init__(self, directory: Path) -> None:
        self.tree = directory / "tree"
        self.patches = directory / "patches"
        self.tree.mkdir(parents=True)
        self.patches.mkdir()
        self._ids: List[str] = []

    def file(self, path: str, content: bytes, mode: int = 0o644) -> Path:
        """Put a file into the tree."""
        target = self.tree / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        target.chmod(mode)
        return target

    def commit(self) -> None:
        """Make the tree a git repository with all that is in it."""
        for arguments in (
            ["init", "-q"],
            ["add", "-A"],
            ["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-q", "-m", "all"],
        ):
            subprocess.run(
                ["git", *arguments],
                cwd=self.tree,
                env={**git_environment(), "HOME": str(self.tree)},
                check=True,
            )

    def lock(self, release: str = RELEASE) -> None:
        """Write a lock without patches, as after a checkout."""
        write_lock(self.tree, Lock(url="file:///upstream", release=release, commit="0" * 40))

    def patch(
        self,
        name: str,
        *edits: Edit,
        releases: str = "1.0.0 - 1.14.0",
        upstreamed: Optional[Dict[str, List[str]]] = None,
        mode: str = "100644",
    ) -> None:
        """Add a patch to the end of the series; several edits of one path are several images."""
        folder = self.patches / name
        folder.mkdir()
        files: Dict[str, Dict[str, object]] = {}
        for number, (path, before, after) in enumerate(edits):
            raw = make_diff(path, mode, before, after)
            (folder / f"{number}.diff").write_bytes(raw)
            entry = files.setdefault(path, {"path": path, "mode": mode, "images": []})
            images = entry["images"]
            assert isinstance(images, list)
            images.append(
                {
                    "seen-in": releases,
                    "pre": blob_id(before),
                    "post": blob_id(after),
                    "diff": f"{number}.diff",
                    "sha256": hashlib.sha256(raw).hexdigest(),
                }
            )
        for path, blobs in (upstreamed or {}).items():
            files[path]["upstreamed"] = blobs
        self.index(name, files=list(files.values()), releases=releases)
        self._ids.append(name)
        self.order(*self._ids)

    def index(self, name: str, **fields: object) -> None:
        """Write a patch.yaml with sound texts and the given fields."""
        value: Dict[str, object] = {
            "id": name,
            "title": f"Patch {name}",
            "why": "Because.",
            "defect": "A defect.",
            "upstream-status": "Not offered.",
            "origin": "Tests.",
            "releases": "1.0.0 - 1.14.0",
        }
        value.update(fields)
        text = yaml.safe_dump(value, sort_keys=False)
        (self.patches / name).mkdir(exist_ok=True)
        (self.patches / name / "patch.yaml").write_text(text, encoding="utf-8")

    def order(self, *names: str) -> None:
        """Write series.yaml."""
        text = yaml.safe_dump({"series": list(names)})
        (self.patches / "series.yaml").write_text(text, encoding="utf-8")

    def series(self) -> Series:
        """Load what was written."""
        return load_series(self.patches)

    def contents(self) -> Dict[str, Tuple[bytes, int]]:
        """Every file of the tree outside .git and .bertkit: its bytes and its permissions."""
        return {
            str(path.relative_to(self.tree)): (path.read_bytes(), path.stat().st_mode & 0o7777)
            for path in sorted(self.tree.rglob("*"))
            if path.is_file() and not {".git", ".bertkit"} & set(path.relative_to(self.tree).parts)
        }


def lines(*numbers: int, prefix: str = "line") -> bytes:
    """Lines such as ``line 1``, one for each number."""
    return b"".join(f"{prefix} {number}\n".encode() for number in numbers)

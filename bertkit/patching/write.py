"""Writes patches: the maintainer's side. Nothing here runs when a tree is patched."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Dict, List

from bertkit.blobs import blob_id
from bertkit.errors import BertkitError
from bertkit.files import write_atomic
from bertkit.patching.diffs import parse_diff
from bertkit.patching.model import Image, Patch

# One stable form, whatever the maintainer's own git settings are: full ids, three lines of
# context, no renames, one algorithm, no colours, filters or foreign programs.
_DIFF = (
    "-c core.autocrlf=false -c core.attributesFile=/dev/null -c core.quotePath=true "
    "diff --no-index --no-prefix --full-index --no-color --no-ext-diff --no-textconv --no-renames "
    "--unified=3 --inter-hunk-context=0 --diff-algorithm=histogram --text"
).split()


def make_diff(path: str, mode: str, before: bytes, after: bytes) -> bytes:
    """The diff of *path* from *before* to *after*, in the form that ``parse_diff`` accepts.

    Raises:
        BertkitError: git cannot be run, or the two are the same.
        PatchMisfit: *path* may not be patched.
    """
    with tempfile.TemporaryDirectory(prefix="bertkit-diff-") as scratch:
        for side, content in (("a", before), ("b", after)):
            file = Path(scratch) / side / path
            file.parent.mkdir(parents=True)
            file.write_bytes(content)
            file.chmod(int(mode[-3:], 8))
        result = subprocess.run(
            ["git", *_DIFF, "--", f"a/{path}", f"b/{path}"],
            cwd=scratch,
            env=git_environment(),
            capture_output=True,
            check=False,
        )
    if result.returncode != 1:  # 0: the same; above 1: trouble
        why = result.stderr.decode("utf-8", "replace").strip() or "the two contents are the same"
        raise BertkitError("no diff could be made", where=path, why=why)
    diff = parse_diff(result.stdout, where=path)
    diff.apply(before)
    diff.unapply(after)
    return result.stdout


def add_image(patch: Patch, path: str, before: bytes, after: bytes, *, seen_in: str) -> Image:
    """Write the diff from *before* to *after* into the patch's folder; its index entry.

    The target *path* must be in the patch's index. ``write_index`` writes the index itself.

    Args:
        patch: whose folder and targets to use; its target's images are changed in place.
        path: the file.
        before: its content before.
        after: its content after.
        seen_in: which releases carry it.
    """
    target = next(target for target in patch.targets if target.path == path)
    raw = make_diff(path, target.mode, before, after)
    pre = blob_id(before)
    folder = patch.folder
    file = folder / f"{path.split('/')[-2]}-{path.split('/')[-1]}-{pre[:12]}.diff"
    write_atomic(file, raw, mode=0o644)
    image = Image(pre, blob_id(after), file, hashlib.sha256(raw).hexdigest(), seen_in)
    target.images[pre] = image
    return image


def write_index(patch: Patch) -> None:
    """Write the patch's ``patch.yaml``."""
    import yaml

    files: List[Dict[str, Any]] = []
    for target in patch.targets:
        entry: Dict[str, Any] = {"path": target.path, "mode": target.mode}
        if target.releases != patch.releases:
            entry["releases"] = str(target.releases)
        entry["images"] = [
            {
                "seen-in": image.seen_in,
                "pre": image.pre,
                "post": image.post,
                "diff": image.diff.name,
                "sha256": image.sha256,
            }
            for image in target.images.values()
        ]
        if target.upstreamed:
            entry["upstreamed"] = list(target.upstreamed)
        files.append(entry)
    value = {
        "id": patch.id,
        "title": patch.title,
        "why": patch.why,
        "defect": patch.defect,
        "upstream-status": patch.upstream_status,
        "origin": patch.origin,
        "releases": str(patch.releases),
        "files": files,
    }
    text = yaml.safe_dump(value, sort_keys=False, width=98, allow_unicode=True)
    write_atomic(patch.folder / "patch.yaml", text, mode=0o644)


def git_environment() -> Dict[str, str]:
    """The environment for git where only the arguments may have a say."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    environment.update(
        GIT_CONFIG_NOSYSTEM="1", GIT_CONFIG_GLOBAL="/dev/null", GIT_TERMINAL_PROMPT="0", LC_ALL="C"
    )
    return environment

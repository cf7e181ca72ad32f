"""Carries the patches to a release that they do not know yet: the maintainer's tool.

For each file, in the order of the series, the diff that comes closest is taken along: its hunks
are moved where they fit exactly in one place; otherwise git merges the three sides (the file that
the diff was made for, what it makes of it, and the new file) in a scratch directory. Nothing is
written to ``patches/`` unless every patch could be carried.
"""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

from bertkit.blobs import blob_id
from bertkit.errors import EnvironmentUnfit, PatchMisfit, UpstreamUnavailable
from bertkit.patching.chain import history
from bertkit.patching.conflicts import hold_against
from bertkit.patching.diffs import Diff, split_lines
from bertkit.patching.model import Image, Patch, Series, Target
from bertkit.patching.originals import git_blob, head_blob
from bertkit.patching.releases import ReleaseRange, parse_range
from bertkit.patching.state import check_release
from bertkit.patching.write import add_image, git_environment, write_index
from bertkit.resources import shipped

STANDIN = "standin"


@dataclass(frozen=True)
class Refreshed:
    """One diff that was made: for which patch, file and content, and how.

    ``how`` is ``moved`` (the hunks fitted elsewhere), ``merged`` (three-way) or ``upstreamed``
    (the merge changes nothing: upstream has the change, and no diff is needed).
    """

    patch: str
    path: str
    pre: str
    post: str
    how: str


@dataclass(frozen=True)
class _Made:
    patch: Patch
    target: Target
    before: bytes
    after: bytes
    how: str
    after_patches: Tuple[str, ...]


def refresh(
    series: Series,
    onto: str,
    mirror: Optional[Path] = None,
    *,
    only: Optional[Sequence[str]] = None,
    dry_run: bool = False,
) -> Tuple[Refreshed, ...]:
    """Make the diffs that *onto* needs and that are not there yet.

    Args:
        series: the patches; their folders are written to.
        onto: a release ``N.N.N``, or ``standin``.
        mirror: a local clone of upstream with that release and the older ones.
        only: ids of the patches to carry; all if None.
        dry_run: work it out, and write nothing.

    Returns:
        What was made, in the order of the series; empty if all patches fit already.

    Raises:
        PatchMisfit: a merge has conflicts; the message shows them, and nothing was written.
        EnvironmentUnfit: *mirror* is needed and not given.
        UpstreamUnavailable: the mirror does not have the release.
    """
    if onto != STANDIN:
        check_release(onto)
        if mirror is None:
            raise EnvironmentUnfit(
                f"a local clone of upstream is needed to carry patches to {onto}",
                next_step=f"bertkit patches refresh --onto {onto} --mirror DIRECTORY",
            )
    made: List[_Made] = []
    problems: List[str] = []
    chosen = series.select(only)
    for path in dict.fromkeys(t.path for patch in chosen for t in patch.targets):
        content = _content(path, onto, mirror)
        if content is not None:
            _carry_path(series, chosen, path, content, mirror, made, problems)
    if problems:
        raise PatchMisfit(
            "\n".join([f"the patches cannot be carried to {onto}; nothing was written", *problems]),
            next_step="edit the file by hand and make the diff with tools/make_patch.py",
        )
    if not dry_run:
        _write(series, made, onto)
    return tuple(
        Refreshed(m.patch.id, m.target.path, blob_id(m.before), blob_id(m.after), m.how)
        for m in made
    )


def _carry_path(
    series: Series,
    chosen: Sequence[Patch],
    path: str,
    origin: bytes,
    mirror: Optional[Path],
    made: List[_Made],
    problems: List[str],
) -> None:
    """Add to *made* what the file *path* needs: the chain, and each patch alone that was so."""
    content = origin
    carried: Tuple[str, ...] = ()
    for patch in chosen:
        target = next((target for target in patch.targets if target.path == path), None)
        if target is None:
            continue
        done = _carry_one(series, patch, target, content, carried, mirror, problems)
        if done is None:
            return  # what comes next builds on it
        if carried and _like(series, target, ()):
            alone = _carry_one(series, patch, target, origin, (), mirror, problems)
            made += [alone[0]] if alone is not None and alone[0] is not None else []
        made += [done[0]] if done[0] is not None else []
        if done[1] != content:
            carried = (*carried, patch.id)
        content = done[1]


def _carry_one(
    series: Series,
    patch: Patch,
    target: Target,
    content: bytes,
    carried: Tuple[str, ...],
    mirror: Optional[Path],
    problems: List[str],
) -> Optional[Tuple[Optional[_Made], bytes]]:
    """What *patch* makes of *content*: the new image (None if it is known) and the result."""
    blob = blob_id(content)
    if blob in target.images:
        return None, target.images[blob].read(target.path).apply(content)
    if blob in target.upstreamed:
        return None, content
    images = _like(series, target, carried) or list(target.images.values())
    diffs = [image.read(target.path) for image in images]
    diffs.sort(key=lambda diff: sum(not r.fits for r in hold_against(diff, content)))
    for diff in diffs:
        moved = _moved(diff, content)
        if moved is not None:
            return _Made(patch, target, content, moved, "moved", carried), moved
    conflict = ""
    for diff in diffs:
        old = _known(series, target.path, diff.pre, mirror)
        if old is None:
            continue
        merged, words = _merged(content, old, diff.apply(old))
        conflict = conflict or words  # the first diff is the nearest
        if merged is not None:
            how = "upstreamed" if merged == content else "merged"
            return _Made(patch, target, content, merged, how, carried), merged
    conflict = conflict or "  no clone has the contents that the diffs were made for (--mirror)"
    problems.append(f"{patch.id}: {target.path}:\n{conflict}")
    return None


def _like(series: Series, target: Target, carried: Tuple[str, ...]) -> List[Image]:
    """The images of *target* that are made for a file with just the patches *carried*."""
    return [
        image
        for image in target.images.values()
        if tuple(step.patch.id for step in history(series, target.path, image.pre)) == carried
    ]


def _moved(diff: Diff, content: bytes) -> Optional[bytes]:
    """Apply *diff* with its hunks at other lines, if each fits exactly once and in order."""
    lines = split_lines(content)
    result: List[bytes] = []
    done = 0
    for hunk in diff.hunks:
        length = len(hunk.old)
        places = [
            at
            for at in range(len(lines) - length + 1)
            if tuple(lines[at : at + length]) == hunk.old
        ]
        if len(places) != 1 or places[0] < done:
            return None
        result += lines[done : places[0]]
        result += hunk.new
        done = places[0] + length
    return b"".join(result + lines[done:])


def _merged(current: bytes, base: bytes, other: bytes) -> Tuple[Optional[bytes], str]:
    """The three-way merge, or None and the text with the conflict."""
    with tempfile.TemporaryDirectory(prefix="bertkit-merge-") as scratch:
        names = {"release": current, "before": base, "patch": other}
        for name, content in names.items():
            (Path(scratch) / name).write_bytes(content)
        result = subprocess.run(
            ["git", "merge-file", "-p", "--diff3", *names],
            cwd=scratch,
            env=git_environment(),
            capture_output=True,
            check=False,
        )
    if result.returncode == 0:
        return result.stdout, ""
    if result.returncode < 0 or result.returncode >= 128:
        return None, result.stderr.decode("utf-8", "replace")
    return None, _conflicts_in(result.stdout.decode("utf-8", "replace"))


def _conflicts_in(text: str) -> str:
    """The conflicting parts of a merge with a line number before each."""
    shown: List[str] = []
    inside = False
    for number, line in enumerate(text.split("\n"), 1):
        if line.startswith("<<<<<<< "):
            inside = True
            shown.append(f"  line {number}:")
        if inside:
            shown.append(f"    {line}")
        if line.startswith(">>>>>>> "):
            inside = False
    return "\n".join(shown)


def _known(series: Series, path: str, blob: str, mirror: Optional[Path]) -> Optional[bytes]:
    """The content *blob* of *path*: upstream's from the mirror, with the diffs that lead to it."""
    steps = history(series, path, blob)
    origin = steps[0].image.pre if steps else blob
    content = None if mirror is None else git_blob(mirror, origin)
    for step in steps if content is not None else ():
        content = step.image.read(path).apply(content or b"")
    return content


def _content(path: str, onto: str, mirror: Optional[Path]) -> Optional[bytes]:
    """What *onto* has at *path*; None if it has no such file."""
    if onto == STANDIN:
        file = shipped(STANDIN) / path
        return file.read_bytes() if file.is_file() else None
    assert mirror is not None
    for ref in (f"refs/heads/{onto}", f"refs/remotes/origin/{onto}"):
        if head_blob(mirror, "", ref=ref) is None:
            continue
        blob = head_blob(mirror, path, ref=ref)
        return None if blob is None else git_blob(mirror, blob)
    raise UpstreamUnavailable(
        f"the clone has no branch {onto}",
        where=mirror,
        next_step=f"git -C {mirror} fetch origin {onto}:{onto}",
    )


def _write(series: Series, made: Sequence[_Made], onto: str) -> None:
    patches: Dict[str, Patch] = {patch.id: patch for patch in series.patches}
    if onto == STANDIN:
        _drop_standin(made)
    for each in made:
        patch = patches[each.patch.id]
        if each.how == "upstreamed":
            targets = tuple(
                replace(target, upstreamed=(*target.upstreamed, blob_id(each.before)))
                if target.path == each.target.path
                else target
                for target in patch.targets
            )
            patch = replace(patch, targets=targets)
        else:
            after = f" (after {', '.join(each.after_patches)})" if each.after_patches else ""
            add_image(patch, each.target.path, each.before, each.after, seen_in=onto + after)
        patches[patch.id] = _widened(patch, each.target.path, onto)
    for name in {each.patch.id for each in made}:
        write_index(patches[name])


def _drop_standin(made: Sequence[_Made]) -> None:
    """The stand-in has one form at a time, so the diffs for its last one go."""
    for each in made:
        for pre, image in list(each.target.images.items()):
            if image.seen_in.split(" (")[0] == STANDIN:
                image.diff.unlink()
                del each.target.images[pre]


def _widened(patch: Patch, path: str, onto: str) -> Patch:
    """The patch with *onto* in its ranges of releases."""
    if onto == STANDIN:
        return patch

    def wider(found: ReleaseRange) -> ReleaseRange:
        return found if onto in found else parse_range(f"{found.text}, {onto}")

    targets = tuple(
        replace(target, releases=wider(target.releases)) if target.path == path else target
        for target in patch.targets
    )
    return replace(patch, releases=wider(patch.releases), targets=targets)

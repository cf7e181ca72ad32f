"""Stages: work whose result is there whole, with a manifest beside it that says what it is.

A stage is built below ``.bertkit/unfinished``, then renamed to its final name, and its manifest is
written last. A stage whose manifest fits (same inputs, same settings, the files as they were
written) is not done again. What happens after a kill at any moment:

    while building            the next run throws the unfinished stage away and builds it again
    after the intent's write  the intent (the manifest to be) tells which files are bertkit's own
    after the rename          the files are as the intent says: only the manifest is written

Files that no manifest and no intent of bertkit's lists are never overwritten or removed.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

from bertkit import __version__
from bertkit.data.layout import DataLayout
from bertkit.errors import BertkitError
from bertkit.files import sha256_of, sync_directory, write_json

log = logging.getLogger("bertkit.data")

#: name of the directory's files -> {"bytes": n, "sha256": hex}; "" is the stage's only file
Outputs = Dict[str, Dict[str, Any]]


class Stage(NamedTuple):
    """A step from inputs to one directory or file."""

    name: str
    output: Path
    inputs: Dict[str, str]  # what it is -> sha256
    settings: Dict[str, Any]  # all that the result depends on besides; values as JSON has them
    build: Callable[[Path], Dict[str, int]]  # makes the output at the path given; returns counts
    made_with: Dict[str, str] = {}  # versions of libraries, for the record only
    supersedes: Tuple[str, ...] = ()  # stages whose result may give way to this one's
    #: a file beside the output that says what lies in it; the build makes it beside the path given.
    #: It is never there without the output that it describes.
    beside: Optional[Path] = None


class Manifest(NamedTuple):
    """What is known about a stage that is done."""

    stage: str
    inputs: Dict[str, str]
    settings: Dict[str, Any]
    counts: Dict[str, int]
    outputs: Outputs

    @property
    def fingerprint(self) -> str:
        """A sum over all output files, for the stages that read them."""
        text = json.dumps(self.outputs, sort_keys=True)
        return hashlib.sha256(text.encode("utf-8")).hexdigest()


def finished(stage: Stage) -> Optional[Manifest]:
    """The stage's manifest, if the stage is done with these inputs and settings and is intact."""
    manifest = read_manifest(DataLayout.manifest(stage.output))
    if manifest is None or not _fits(manifest, stage):
        return None
    return manifest if _outputs(stage) == manifest.outputs else None


def carry_out(stage: Stage, layout: DataLayout) -> Tuple[Manifest, bool]:
    """Do *stage* unless it is done; the caller holds the layout's lock.

    Returns:
        Its manifest, and whether it was done already.

    Raises:
        BertkitError: files that bertkit did not make are in the way.
    """
    place = layout.staging / stage.name.replace(" ", "-")
    done = finished(stage)
    if done is not None:
        log.debug("%s: nothing to do", stage.name)
        shutil.rmtree(str(place), ignore_errors=True)  # a kill may have left it
        return done, True
    intent_file, tree, replaced = place / "intent.json", place / "result", place / "replaced"
    final = DataLayout.manifest(stage.output)
    intent = read_manifest(intent_file)
    if intent is not None and stage.beside is not None and _is(stage.output, intent):
        _place_beside(stage, place)  # killed after the rename of the output, perhaps
    if intent is None or not _fits(intent, stage) or _outputs(stage) != intent.outputs:
        _refuse_foreign_files(stage, [read_manifest(final), intent])
        if intent is not None and stage.output.exists() and _outputs(stage) == intent.outputs:
            # Killed between rename and manifest, and asked for something else since: that these
            # files are bertkit's must be known until they are replaced.
            write_manifest(final, intent, stage.made_with)
        shutil.rmtree(str(place), ignore_errors=True)
        place.mkdir(parents=True)
        try:
            counts = stage.build(tree)
        except BaseException:
            shutil.rmtree(str(place), ignore_errors=True)  # a full disk needs the room
            raise
        described = None if stage.beside is None else place / stage.beside.name
        outputs = describe_files(tree, described)
        intent = Manifest(stage.name, stage.inputs, stage.settings, counts, outputs)
        _sync_tree(tree)
        write_manifest(intent_file, intent, stage.made_with)
        stage.output.parent.mkdir(parents=True, exist_ok=True)
        if stage.beside is not None and stage.beside.exists():
            stage.beside.unlink()
            sync_directory(stage.beside.parent)
        if stage.output.exists():
            stage.output.replace(replaced)
        tree.replace(stage.output)
        sync_directory(stage.output.parent)
        _place_beside(stage, place)
    write_manifest(final, intent, stage.made_with)
    shutil.rmtree(str(place), ignore_errors=True)
    return intent, False


def read_manifest(path: Path) -> Optional[Manifest]:
    """The manifest at *path*; none if there is no readable one."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        manifest = Manifest(**{field: content[field] for field in Manifest._fields})
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return manifest if all(isinstance(part, dict) for part in manifest[1:]) else None


def _sync_tree(tree: Path) -> None:
    if tree.is_dir():
        for directory in [tree, *(path for path in tree.rglob("*") if path.is_dir())]:
            sync_directory(directory)


def write_manifest(path: Path, manifest: Manifest, made_with: Dict[str, str]) -> None:
    """Write *manifest*, with the versions that its files were *made_with* for the record."""
    write_json(path, {**manifest._asdict(), "made_with": {"bertkit": __version__, **made_with}})


def _fits(manifest: Manifest, stage: Stage) -> bool:
    wanted = json.loads(json.dumps([stage.name, stage.inputs, stage.settings]))
    return bool([manifest.stage, manifest.inputs, manifest.settings] == wanted)


def _place_beside(stage: Stage, place: Path) -> None:
    if stage.beside is not None and (place / stage.beside.name).exists():
        (place / stage.beside.name).replace(stage.beside)
        sync_directory(stage.beside.parent)


def _is(output: Path, manifest: Manifest) -> bool:
    """Whether *output* is what *manifest* says, apart from the file beside it."""
    listed = {n: what for n, what in manifest.outputs.items() if not n.startswith("../")}
    return describe_files(output) == listed


def _outputs(stage: Stage) -> Outputs:
    return describe_files(stage.output, stage.beside)


def describe_files(output: Path, beside: Optional[Path] = None) -> Outputs:
    """All files of a stage's result with their sizes and sums; those of a missing one: none."""
    if output.is_file():
        return {"": _described(output)}
    files = sorted(path for path in output.rglob("*") if not path.is_dir())
    found = {path.relative_to(output).as_posix(): _described(path) for path in files}
    if beside is not None and beside.is_file():
        found[f"../{beside.name}"] = _described(beside)
    return found


def _described(path: Path) -> Dict[str, Any]:
    return {"bytes": path.stat().st_size, "sha256": sha256_of(path)}


def _refuse_foreign_files(stage: Stage, known: List[Optional[Manifest]]) -> None:
    own = (stage.name, *stage.supersedes)
    ours = {
        name
        for manifest in known
        if manifest is not None and manifest.stage in own
        for name in manifest.outputs
    }
    there = [""] if stage.output.is_file() else []
    there += [
        path.relative_to(stage.output).as_posix()
        for path in sorted(stage.output.rglob("*"))
        if not path.is_dir()
    ]
    if stage.beside is not None and stage.beside.exists():
        there.append(f"../{stage.beside.name}")
    foreign = [name for name in there if name not in ours]
    if foreign:
        raise BertkitError(
            f"{stage.name}: there are files that bertkit did not make for it, such as "
            f"{os.path.normpath(stage.output / foreign[0])}",
            where=stage.output,
            why="bertkit overwrites nothing but its own files, and upstream reads every file there",
            next_step="move them away, or give another directory",
        )


def versions(*packages: str) -> Dict[str, str]:
    """What a stage is made with, for the record."""
    from importlib.metadata import version

    return {package: version(package) for package in packages}

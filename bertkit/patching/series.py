"""Reads ``patches/``: the order, and each patch's index; says what is wrong with either."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from bertkit.errors import BertkitError, PatchMisfit
from bertkit.patching.diffs import MODES
from bertkit.patching.model import Image, Patch, Series, Target
from bertkit.patching.paths import path_problem
from bertkit.patching.releases import ReleaseRange, parse_range
from bertkit.resources import shipped
from bertkit.strict_yaml import load_strict

_BLOB = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_ID = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_DIFF_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*\.diff")
_TEXTS = ("id", "title", "why", "defect", "upstream-status", "origin", "releases")


def load_series(directory: Optional[Path] = None) -> Series:
    """Read the series in *directory*, by default the one that bertkit ships.

    The diffs themselves are read, and checked against their SHA-256, when they are used.

    Raises:
        PatchMisfit: a file is missing, refused or contradicts another; the message says where.
    """
    directory = shipped("patches") if directory is None else directory
    index = directory / "series.yaml"
    top = _mapping(_load(index), index, "the file", {"series"})
    ids = [_text(item, index, "series") for item in _list(top["series"], index, "series")]
    for name in ids:
        if not _ID.fullmatch(name):
            raise _wrong(index, f"{name!r} is not a patch id (lower-case words joined by '-')")
    if len(set(ids)) != len(ids):
        raise _wrong(index, "a patch is listed twice")
    series = Series(directory, tuple(_read_patch(directory / name) for name in ids))
    _check_chains(series, index)
    return series


def _read_patch(folder: Path) -> Patch:
    path = folder / "patch.yaml"
    if folder.is_symlink():
        raise _wrong(path, "the folder is a symbolic link")
    raw = _mapping(_load(path), path, "the file", {*_TEXTS, "files"})
    texts = {key: _text(raw[key], path, key).strip() for key in _TEXTS}
    if texts["id"] != folder.name:
        raise _wrong(path, f"id is {texts['id']!r}, the folder is {folder.name!r}")
    releases = _range(texts["releases"], path, "releases")
    targets = tuple(
        _read_target(item, path, releases) for item in _list(raw["files"], path, "files")
    )
    if not targets:
        raise _wrong(path, "files: at least one is expected")
    if len({target.path for target in targets}) != len(targets):
        raise _wrong(path, "a path is listed twice")
    return Patch(
        folder=folder,
        id=texts["id"],
        title=texts["title"],
        why=texts["why"],
        defect=texts["defect"],
        upstream_status=texts["upstream-status"],
        origin=texts["origin"],
        releases=releases,
        targets=targets,
    )


def _read_target(item: object, where: Path, releases: ReleaseRange) -> Target:
    raw = _mapping(item, where, "files", {"path", "mode", "images"}, {"releases", "upstreamed"})
    path = _text(raw["path"], where, "path")
    problem = path_problem(path)
    if problem:
        raise _wrong(where, f"{problem}: {path[:200]!r}")
    mode = _text(raw["mode"], where, f"{path}: mode")
    if mode not in MODES:
        raise _wrong(where, f"{path}: mode {mode[:20]!r} is not one of {', '.join(MODES)}")
    images: Dict[str, Image] = {}
    for entry in _list(raw["images"], where, f"{path}: images"):
        image = _read_image(entry, where, path)
        if image.pre in images:
            raise _wrong(where, f"{path}: the blob {image.pre[:12]} is listed twice")
        images[image.pre] = image
    if "releases" in raw:
        releases = _range(_text(raw["releases"], where, f"{path}: releases"), where, path)
    upstreamed = [
        _matching(_BLOB, blob, where, f"{path}: upstreamed")
        for blob in _list(raw.get("upstreamed", []), where, f"{path}: upstreamed")
    ]
    return Target(path, mode, releases, images, tuple(upstreamed))


def _read_image(entry: object, where: Path, path: str) -> Image:
    place = f"{path}: images"
    raw = _mapping(entry, where, place, {"pre", "post", "diff", "sha256", "seen-in"})
    pre = _matching(_BLOB, raw["pre"], where, f"{place}: pre")
    post = _matching(_BLOB, raw["post"], where, f"{place}: post")
    if pre == post:
        raise _wrong(where, f"{place}: {pre[:12]} is both before and after")
    return Image(
        pre=pre,
        post=post,
        diff=where.parent / _matching(_DIFF_NAME, raw["diff"], where, f"{place}: diff"),
        sha256=_matching(_SHA256, raw["sha256"], where, f"{place}: sha256"),
        seen_in=_text(raw["seen-in"], where, f"{place}: seen-in"),
    )


def _check_chains(series: Series, index: Path) -> None:
    """Each content must tell which patches made it: one maker, and makers in order."""
    makers: Dict[Tuple[str, str], str] = {}
    for patch in series.patches:
        for target in patch.targets:
            for image in target.images.values():
                key = (target.path, image.post)
                if key in makers:
                    raise _wrong(
                        index,
                        f"{target.path}: {image.post[:12]} is made both by {makers[key]} and by "
                        f"{patch.id}, so a tree could not tell which it carries",
                    )
                makers[key] = patch.id
    for patch in series.patches:
        for target in patch.targets:
            for image in target.images.values():
                maker = makers.get((target.path, image.pre))
                if maker and series.position(maker) >= series.position(patch.id):
                    raise _wrong(
                        index, f"{target.path}: {patch.id} builds on {maker}, which comes later"
                    )


def _load(path: Path) -> object:
    if path.is_symlink():
        raise _wrong(path, "it is a symbolic link")
    try:
        return load_strict(path)
    except BertkitError as error:
        raise _wrong(path, error.why or error.what) from None


def _mapping(
    value: object, where: Path, what: str, needed: set[str], allowed: Optional[set[str]] = None
) -> Dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(where, f"{what}: a mapping is expected, not {_kind(value)}")
    missing = sorted(needed - set(value))
    if missing:
        raise _wrong(where, f"{what}: {', '.join(missing)} missing")
    unknown = sorted(set(value) - needed - (allowed or set()))
    if unknown:
        raise _wrong(where, f"{what}: unknown key {', '.join(unknown)[:200]}")
    return value


def _list(value: object, where: Path, what: str) -> List[object]:
    if not isinstance(value, list):
        raise _wrong(where, f"{what}: a list is expected, not {_kind(value)}")
    return value


def _text(value: object, where: Path, what: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _wrong(where, f"{what}: a text is expected, not {_kind(value)} (quote it)")
    return value


def _matching(form: re.Pattern[str], value: object, where: Path, what: str) -> str:
    text = _text(value, where, what)
    if not form.fullmatch(text):
        raise _wrong(where, f"{what}: {text[:80]!r} is not of the form {form.pattern}")
    return text


def _range(text: str, where: Path, what: str) -> ReleaseRange:
    try:
        return parse_range(text)
    except ValueError as error:
        raise _wrong(where, f"{what}: {error}") from None


def _kind(value: object) -> str:
    if isinstance(value, str):
        return "a text" if value.strip() else "an empty text"
    kinds = {dict: "a mapping", list: "a list", type(None): "nothing"}
    return kinds.get(type(value), type(value).__name__)


def _wrong(where: object, why: str) -> PatchMisfit:
    return PatchMisfit(
        "this patch index is refused",
        where=where,
        why=why,
        next_step="nothing was written; put the file right, or reinstall bertkit",
    )

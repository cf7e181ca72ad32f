"""The user's own settings file, as ``bertkit config init`` writes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Mapping

from bertkit.config import schema
from bertkit.config.layers import site_names, site_profile
from bertkit.errors import UsageProblem
from bertkit.files import write_atomic
from bertkit.resources import shipped

#: where bertkit's Dockerfile puts the prepared repository
REPO_IN_IMAGE = "/opt/Model-References"


def text(site: str, said: Mapping[str, Any]) -> str:
    """A settings file that starts from *site* and says *said*.

    Args:
        site: a shipped profile's name, or a file, which is named by its whole path.
        said: setting -> text. With an image of one's own, bertkit and the repository are in it.

    Raises:
        UsageProblem: there is no such site, or a value is not fit.
    """
    site_profile(site)
    named = site if site in site_names() else str(Path(site).expanduser().absolute())
    values = {"site": named, **said}
    if "image" in said:
        values.update(pods={"in_image": True}, paths={"repo": REPO_IN_IMAGE})
    for place, why in schema.problems(values):
        raise UsageProblem(
            "this setting is refused", why=f"{schema.written(place)}: {why}",
            next_step="bertkit config init --help",
        )  # fmt: skip
    lines = [
        "# Settings of bertkit. What stands here goes before the site's profile; variables and",
        "# options go before this. `bertkit config show` says where each value comes from.",
        f"# yaml-language-server: $schema={shipped('sites') / 'schema.json'}",
        *(f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()),
    ]
    return "\n".join(lines) + "\n"


def write(path: Path, content: str, *, force: bool) -> None:
    """Write *content* to *path*.

    Raises:
        UsageProblem: there is a file with something else in it, and *force* is false.
    """
    if path.exists() and not force and path.read_text("utf-8", "replace") != content:
        raise UsageProblem(
            "there is a settings file already",
            where=path,
            next_step="edit it, or write over it: --force",
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, content)

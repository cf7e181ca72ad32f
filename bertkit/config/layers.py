"""Where settings come from, in one order: option, environment, user's file, site, default.

Mappings are merged key by key; everything else, lists too, is taken whole from the strongest
source that has it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

from bertkit.config import schema
from bertkit.config.settings import Settings, build
from bertkit.errors import UsageProblem
from bertkit.resources import shipped
from bertkit.strict_yaml import Place, parse_documents, read_text

DEFAULTS: Mapping[str, Any] = {
    "image_pull_policy": "IfNotPresent",
    "mpijob_version": "v2beta1",
    "kind": "job",
    "keep_seconds": 7 * 24 * 3600,
    "pods": {"program": "bertkit", "python": "python3"},
}
_DEFAULT_SITE = "generic"
_PLACEHOLDER = re.compile(r"\$\{([a-z_]*)\}")


class Layer(NamedTuple):
    """One source of settings: its name for people, and what it says."""

    source: str
    values: Mapping[str, Any]


class Resolved(NamedTuple):
    """Merged values, not yet complete, and the source of each by its written place."""

    values: Dict[str, Any]
    sources: Dict[str, str]

    def settings(self) -> Settings:
        """The whole object.

        Raises:
            UsageProblem: something is missing.
        """
        return build(self.values, self.sources)


def resolve(
    environ: Mapping[str, str], options: Mapping[str, Any], *, site: Optional[str] = None
) -> Resolved:
    """All settings, with where each comes from.

    Args:
        environ: ``BERTKIT_SITE``, ``BERTKIT_CONFIG``, and for each setting that is one text or
            number ``BERTKIT_`` and its place, as in ``BERTKIT_PATHS_DATA``; ``USER`` as a default.
        options: from the command line, in the form of a settings file.
        site: ``--site``, a shipped profile's name or a file.

    Raises:
        UsageProblem: a file or a variable is not what it should be.
    """
    own = user_file(environ)
    file_values = read_file(own) if own.is_file() else {}
    chosen, chosen_by = _choice(site, environ, file_values, own)
    name, profile = site_profile(chosen)
    login = environ.get("USER") or environ.get("LOGNAME")
    layers = [
        Layer("default", DEFAULTS),
        Layer("login name", {"user": login} if login else {}),
        Layer(f"site {name}", profile),
        Layer(str(own), {k: v for k, v in file_values.items() if k not in ("site", "title")}),
        *_environment_layers(environ),
        Layer("option", options),
    ]
    values: Dict[str, Any] = {}
    sources: Dict[str, str] = {}
    for layer in layers:
        _merge(values, layer.values, layer.source, sources, ())
    filled = _filled(values)
    _refuse(schema.problems(filled), "the settings together", {})
    return Resolved({**filled, "site": name}, {"site": chosen_by, **sources})


def user_file(environ: Mapping[str, str]) -> Path:
    """The user's own settings file, which need not be there."""
    if environ.get("BERTKIT_CONFIG"):
        return Path(environ["BERTKIT_CONFIG"]).expanduser().absolute()
    home = environ.get("XDG_CONFIG_HOME") or str(Path(environ.get("HOME") or "~", ".config"))
    return Path(home).expanduser() / "bertkit" / "config.yaml"


def site_names() -> List[str]:
    """The profiles that bertkit ships."""
    return sorted(path.stem for path in shipped("sites").glob("*.yaml"))


def site_profile(chosen: str) -> Tuple[str, Dict[str, Any]]:
    """A profile's name and content, by a shipped one's name or a file's path.

    Raises:
        UsageProblem: there is none, or it is not a profile.
    """
    if chosen in site_names():
        return chosen, read_file(shipped("sites") / f"{chosen}.yaml")
    path = Path(chosen).expanduser()
    if "/" not in chosen and path.suffix not in (".yaml", ".yml"):
        raise UsageProblem(
            f"no site profile is called {chosen!r}",
            why=f"there are {', '.join(site_names())}; a profile of your own is named by its file",
            next_step="--site NAME, or --site ./FILE.yaml",
        )
    return path.stem, read_file(path)


def read_file(path: Path) -> Dict[str, Any]:
    """A profile's or a user's file, checked.

    Raises:
        UsageProblem: it is not one; every fault is named with its line.
    """
    documents = parse_documents(read_text(path), where=path)
    if not documents:
        return {}
    if len(documents) > 1:
        raise UsageProblem("a settings file is one YAML document", where=path)
    value = documents[0].value
    if value is None:
        return {}
    _refuse(schema.problems(value), path, documents[0].lines)
    assert isinstance(value, dict)  # the schema says so
    return value


def variable(place: Place) -> str:
    """The environment variable of a setting: ``BERTKIT_PATHS_DATA``."""
    return "BERTKIT_" + "_".join(str(part).upper() for part in place)


def _choice(
    site: Optional[str], environ: Mapping[str, str], own: Mapping[str, Any], path: Path
) -> Tuple[str, str]:
    for value, source in (
        (site, "option"),
        (environ.get("BERTKIT_SITE"), "BERTKIT_SITE"),
        (own.get("site"), str(path)),
    ):
        if value:
            return str(value), source
    return _DEFAULT_SITE, "default"


def _environment_layers(environ: Mapping[str, str]) -> List[Layer]:
    layers = []
    for place in schema.scalars():
        name = variable(place)
        text = environ.get(name)
        if place[0] in ("site", "title") or not text:
            continue
        value: Any = int(text) if place == ("keep_seconds",) and text.isdigit() else text
        for part in reversed(place):
            value = {part: value}
        _refuse(schema.problems(value), name, {})
        layers.append(Layer(name, value))
    return layers


def _merge(
    into: Dict[str, Any],
    values: Mapping[str, Any],
    source: str,
    sources: Dict[str, str],
    place: Place,
) -> None:
    for key, value in values.items():
        here = (*place, key)
        if isinstance(value, dict) and isinstance(into.get(key, {}), dict):
            _merge(into.setdefault(key, {}), value, source, sources, here)
        else:
            into[key] = value
            sources[schema.written(here)] = source


def _filled(values: Mapping[str, Any]) -> Dict[str, Any]:
    """*values* with ``${user}``, ``${release}`` and ``${namespace}`` filled in."""
    known = {key: str(values[key]) for key in ("user", "release") if key in values}
    if "namespace" in values:
        known["namespace"] = _fill(str(values["namespace"]), known)
    filled = _fill_all(values, known)
    assert isinstance(filled, dict)
    return filled


def _fill_all(value: Any, known: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _fill_all(child, known) for key, child in value.items()}
    if isinstance(value, list):
        return [_fill_all(child, known) for child in value]
    return _fill(value, known) if isinstance(value, str) else value


def _fill(text: str, known: Mapping[str, str]) -> str:
    def one(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in known:
            raise UsageProblem(
                f"${{{name}}} is not known here",
                where=text,
                why=f"known: {', '.join(known) or 'nothing'}",
                next_step="say --user NAME; `bertkit config init --site NAME --user NAME` keeps it"
                if name == "user"
                else "bertkit config show",
            )
        return known[name]

    return _PLACEHOLDER.sub(one, text)


def _refuse(found: List[Tuple[Place, str]], where: object, lines: Mapping[Place, int]) -> None:
    if not found:
        return
    told = []
    for place, why in found[:5]:
        line = f"line {lines[place]}: " if place in lines else ""
        told.append(f"{line}{schema.written(place) or 'the file'}: {why}")
    more = f"; and {len(found) - 5} more" if len(found) > 5 else ""
    raise UsageProblem(
        "these settings are refused",
        where=where,
        why="; ".join(told) + more,
        next_step="mend them; `bertkit config show` lists all settings",
    )

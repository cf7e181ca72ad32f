"""Settings and where they come from, for people."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Iterator, Tuple

import click

from bertkit.config import Resolved
from bertkit.config.schema import written
from bertkit.strict_yaml import Place


def print_settings(resolved: Resolved, own: Path) -> None:
    """Print each setting, its value and its source."""
    rows = [(written(place), value, place) for place, value in _leaves(resolved.values, ())]
    width = max(len(name) for name, _, _ in rows)
    for name, value, place in rows:
        source = next(
            resolved.sources[written(place[:length])]
            for length in range(len(place), 0, -1)
            if written(place[:length]) in resolved.sources
        )
        click.echo(f"{name:<{width}}  {value}  ({source})")
    if not own.is_file():
        click.echo(f"your own file {own} is not there: bertkit config init --site NAME", err=True)


def _leaves(value: Any, place: Place) -> Iterator[Tuple[Place, Any]]:
    if isinstance(value, dict) and value:
        for key, child in value.items():
            yield from _leaves(child, (*place, key))
    elif isinstance(value, list) and value:
        for index, child in enumerate(value):
            yield from _leaves(child, (*place, index))
    else:
        yield place, value

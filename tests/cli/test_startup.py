from __future__ import annotations

import re
import subprocess
import sys
from typing import Any, Iterator, Set, Tuple

import click
import pytest

from bertkit.cli import COMMANDS, bertkit

HEAVY = {
    "tensorflow", "horovod", "numpy", "scipy", "tokenizers", "kubernetes", "git", "unidiff",
    "yaml", "rich", "requests", "importlib.metadata",
}  # fmt: skip


def imported_by(*arguments: str) -> Set[str]:
    """Every module that ``bertkit ARGUMENTS`` imports."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "bertkit", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    return set(re.findall(r"^import time:.*\| +([\w.]+)$", done.stderr, re.MULTILINE))


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["train", "--help"]])
def test_nothing_heavy_is_imported_to_say_what_bertkit_is(arguments: list) -> None:
    found = imported_by(*arguments)
    assert "bertkit.cli" in found
    assert not found & HEAVY


def test_a_command_that_does_not_exist_is_exit_2_with_help() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bertkit", "trian"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "No such command 'trian'" in done.stderr


def commands_below(group: click.Group, *words: str) -> Iterator[Tuple[Tuple[str, ...], Any]]:
    """Every command below *group* that is no group itself, with the words that call it."""
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        if isinstance(found, click.Group):
            yield from commands_below(found, *words, name)
        else:
            yield (*words, name), found


def test_every_command_has_help_and_json() -> None:
    found = dict(commands_below(bertkit))
    assert ("train",) in found
    assert ("patches", "unapply") in found
    for words, command in found.items():
        assert command.help, words
        options = [name for each in command.params for name in each.opts]
        assert "--json" in options, words
        assert len(options) == len(set(options)), f"{words}: an option stands twice"


@pytest.mark.parametrize("words", [[], *([name] for name in COMMANDS), ["data", "verify"]])
def test_help_is_exit_code_0(words: list) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bertkit", *words, "--help"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert done.stdout.startswith(f"Usage: {' '.join(['bertkit', *words])} ")

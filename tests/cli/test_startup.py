from __future__ import annotations

import re
import subprocess
import sys
from typing import Set

import pytest

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


def test_every_command_has_help_and_json() -> None:
    from bertkit.cli import COMMANDS

    for name in COMMANDS:
        done = subprocess.run(
            [sys.executable, "-m", "bertkit", name, "--help"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, name
        assert "--json" in done.stdout or "COMMAND" in done.stdout, name

from __future__ import annotations

import os
from pathlib import Path
from typing import Callable, List, NamedTuple

import pytest

from bertkit.cli import bertkit
from bertkit.cli.common import exit_code_of


class Answer(NamedTuple):
    """What a call of bertkit gave."""

    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings of whoever runs the tests."""
    for name in list(os.environ):
        if name.startswith("BERTKIT_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "no-config"))
    monkeypatch.setenv("USER", "alice")


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Calls bertkit in this process."""

    def run(*arguments: str) -> Answer:
        code = exit_code_of(bertkit, list(arguments))
        out, err = capsys.readouterr()
        return Answer(code, out, err)

    return run


@pytest.fixture
def objects(call: Callable[..., Answer]) -> Callable[..., List[dict]]:
    """The objects of a manifest that must come out."""
    import yaml

    def made(*arguments: str) -> List[dict]:
        answer = call("manifest", *arguments)
        assert answer.code == 0, answer.err
        return list(yaml.safe_load_all(answer.out))

    return made

"""What another node printed is not believed before it is checked."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any, Dict

import pytest

from bertkit.errors import EnvironmentUnfit
from bertkit.launch.nodes.answer import parse
from bertkit.launch.nodes.question import program


@pytest.fixture(scope="module")
def answer() -> Dict[str, Any]:
    """A real answer of this machine, with one Gaudi put in."""
    done = subprocess.run(
        [sys.executable, str(program()), "{}"], stdout=subprocess.PIPE, text=True, check=True
    )
    facts: Dict[str, Any] = json.loads(done.stdout)
    facts["devices"] = [
        {"name": "accel0", "status": "operational", "pci": "0000:19:00.0", "numa": 0, "module": 0,
         "driver": "1.13.0-ee32e42", "refused": None, "holders": [{"pid": 7, "command": "x"}]},
    ]  # fmt: skip
    return facts


def test_lines_around_the_answer_are_passed_over(answer: Dict[str, Any]) -> None:
    printed = f"Welcome to node-1\n\n{json.dumps(answer)}\nConnection closed.\n"
    facts = parse(printed, "node-1")
    assert facts.host == answer["host"]
    assert facts.devices is not None
    assert facts.devices[0].holders == ("7 x",)


def test_what_would_act_on_a_terminal_is_taken_out(answer: Dict[str, Any]) -> None:
    facts = parse(json.dumps({**answer, "host": "\x1b[2Jnode\n"}), "node-1")
    assert facts.host == "?[2Jnode?"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("host", 3),
        ("host", "x" * 5000),
        ("time", float("nan")),
        ("time", "now"),
        ("devices", {}),
        ("devices", [{"name": "../../etc/passwd"}]),
        ("devices", [[]] * 5000),
        ("hugepages", {"total": -1, "free": 0, "used": 0, "limit": 0}),
        ("hugepages", {"total": True, "free": 0, "used": 0, "limit": 0}),
        ("hugepages", {"total": 1 << 70, "free": 0, "used": 0, "limit": 0}),
        ("checkout", {"lock": "x", "release": "1.13.0", "commit": "", "files": {}}),
        ("needs", {"vocab": None}),
        ("checkpoint", {"model.ckpt-1.index": None}),
        ("missing", "numpy"),
        ("unknown", None),
        ("probe", {"directory": "/", "found": "yes"}),
        ("bertkit_node", 2),
    ],
)
def test_a_value_that_cannot_be_is_refused(answer: Dict[str, Any], key: str, value: Any) -> None:
    with pytest.raises(EnvironmentUnfit, match="cannot be read") as refusal:
        parse(json.dumps({**answer, key: value}), "node-1")
    assert refusal.value.where == "node-1"


@pytest.mark.parametrize(
    "printed",
    ["", "bash: python3: command not found", '{"bertkit_node": 1', '{"bertkit_node": 1}',
     '{"bertkit_node":' + "[" * 100_000],
)  # fmt: skip
def test_no_answer_is_refused_with_what_was_printed(printed: str) -> None:
    with pytest.raises(EnvironmentUnfit, match="cannot be read") as refusal:
        parse(printed, "node-1")
    if printed.startswith("bash"):
        assert "command not found" in str(refusal.value)

"""The CPU's stand-in for Habana's package beside the real one."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, Set

import pytest

from bertkit.devices.visible import modules_of_ranks
from bertkit.resources import shipped

pytestmark = [pytest.mark.habana, pytest.mark.tensorflow]

ANSWERS = Path(__file__).with_name("answers.py")
STAND_IN = shipped("launchers") / "cpu"

#: what Open MPI and Horovod set, in every mixture that tells a difference
ENVIRONMENTS: List[Dict[str, str]] = [
    {},
    *(
        {f"{prefix}_{what}": value}
        for prefix in ("OMPI_COMM_WORLD", "HOROVOD")
        for what in ("SIZE", "RANK", "LOCAL_SIZE", "LOCAL_RANK")
        for value in ("0", "3")
    ),
    {"OMPI_COMM_WORLD_SIZE": "16", "OMPI_COMM_WORLD_RANK": "9", "OMPI_COMM_WORLD_LOCAL_SIZE": "8",
     "OMPI_COMM_WORLD_LOCAL_RANK": "1"},
    {"OMPI_COMM_WORLD_RANK": "1", "HOROVOD_RANK": "2"},
    {"OMPI_COMM_WORLD_LOCAL_RANK": "1", "HOROVOD_LOCAL_RANK": "2", "HOROVOD_SIZE": "4"},
    {"OMPI_COMM_WORLD_RANK": ""},
    {"HOROVOD_LOCAL_RANK": "one"},
    {"OMPI_COMM_WORLD_SIZE": " 2 "},
]  # fmt: skip

#: variables with which the caller chooses modules for two ranks
CHOICES: List[Dict[str, str]] = [
    {},
    *({"HABANA_VISIBLE_MODULES": modules} for modules in ("0,1,2,3", "4,5,6,7", "7,5,6", "3,2")),
]


def answers_of(python: Path, path: str) -> Dict[str, Any]:
    quiet = {"PATH": os.environ["PATH"], "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [str(python), str(ANSWERS), json.dumps(ENVIRONMENTS), json.dumps(CHOICES)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=quiet)
    answer: Dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


@pytest.fixture(scope="module")
def both(habana: Path) -> List[Dict[str, Any]]:
    """What the real package and the stand-in answer."""
    return [answers_of(habana, ""), answers_of(Path(sys.executable), str(STAND_IN))]


def test_the_rank_helpers_give_the_same_answers_in_every_environment(
    both: List[Dict[str, Any]],
) -> None:
    real, stand_in = both
    for variables, theirs, ours in zip(ENVIRONMENTS, real["answers"], stand_in["answers"]):
        assert ours == theirs, variables


def test_the_functions_take_the_same_arguments(both: List[Dict[str, Any]]) -> None:
    real, stand_in = both
    assert stand_in["signatures"] == real["signatures"]
    assert stand_in["version"] == real["version"]


def test_bertkit_knows_which_module_each_rank_takes(both: List[Dict[str, Any]]) -> None:
    real, _ = both
    expected = [list(map(str, modules_of_ranks(variables, 2))) for variables in CHOICES]
    assert real["modules"] == expected


def defined_in(path: Path) -> Set[str]:
    names: Set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.ImportFrom):
            names.update(alias.asname or alias.name for alias in node.names)
    return names


def test_every_name_of_the_stand_in_exists_in_the_real_package(habana: Path) -> None:
    (real,) = habana.parent.parent.glob("lib/python3*/site-packages/habana_frameworks/tensorflow")
    checked = 0
    for path in (STAND_IN / "habana_frameworks/tensorflow").glob("*.py"):
        # The device's module loads a library of Habana's when it is imported: it is read.
        ours = {name for name in defined_in(path) if name not in ("annotations", "Optional")}
        ours -= {"_first_of"}
        assert ours <= defined_in(real / path.name), path.name
        checked += len(ours)
    assert checked >= 7

"""Every value of the golden commands has its source in ``golden/SOURCES.md``."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Dict, List, Set, Tuple

GOLDEN = Path(__file__).parent / "golden"
#: of mpirun's options in the golden files, those that take a value
WITH_VALUE = {"-np", "--bind-to", "--map-by", "--rank-by", "--prefix", "-H"}
ROW = re.compile(r"\| `([^`]+)` \| ([^|]+) \| ([^|]+) \|")


def sources() -> Dict[str, Set[str]]:
    """Name -> the values that SOURCES.md knows."""
    found: Dict[str, Set[str]] = {}
    for line in (GOLDEN / "SOURCES.md").read_text(encoding="utf-8").splitlines():
        row = ROW.fullmatch(line)
        if row:
            assert row.group(1) not in found, f"{row.group(1)} twice"
            found[row.group(1)] = {value.strip() for value in row.group(2).split(",")}
    return found


def plain(value: str) -> str:
    """The value as SOURCES.md has it: places of the test's own are all one."""
    if value.startswith(("@", "/")):
        return "path"
    if re.fullmatch(r"\d(,\d)+", value):
        return "modules"
    return "hosts" if re.fullmatch(r"[\w.-]+:\d+(,[\w.-]+:\d+)*", value) else value


def used() -> Set[Tuple[str, str]]:
    """Every name and value in the golden files."""
    found: Set[Tuple[str, str]] = set()
    for path in sorted(GOLDEN.glob("*.json")):
        plan = json.loads(path.read_text(encoding="utf-8"))
        found |= {(name, plain(value)) for name, value in plan["environment"].items()}
        argv: List[str] = plan["argv"]
        program = argv.index("@PYTHON")
        found |= set(options_of(argv[1:program])) if program else set()
        for flag in argv[program + 4 :]:  # rank.py, its directory, the script
            name, _, value = flag.partition("=")
            found.add((name, plain(value) if value else "-"))
    return found


def options_of(argv: List[str]) -> List[Tuple[str, str]]:
    """mpirun's options; ``-x NAME`` is a matter of the environment."""
    found = []
    rest = iter(argv)
    for option in rest:
        if option == "--mca":
            found.append((next(rest), next(rest)))
        elif option == "-x":
            next(rest)
        else:
            found.append((option, plain(next(rest)) if option in WITH_VALUE else "-"))
    return found


def test_every_value_has_its_source_and_no_source_is_left_over() -> None:
    known = {(name, value) for name, values in sources().items() for value in values}
    assert used() - known == set(), "without a source"
    assert known - used() == set(), "no golden file has it any more"

"""README's tables are complete: each command, each variable and each patch stands in them."""

import re
from pathlib import Path

import click
import pytest

from bertkit.cli import bertkit
from bertkit.config import schema
from bertkit.config.layers import variable
from bertkit.resources import shipped

ROOT = Path(__file__).parents[1]
if not (ROOT / "README.md").exists():  # the core's tests run beside an installed wheel
    pytest.skip("needs the checkout; `make test` runs it", allow_module_level=True)
README = (ROOT / "README.md").read_text(encoding="utf-8")


def rows(heading: str) -> str:
    """The first cells of the table below *heading*."""
    table = re.split(r"^##", README.partition(f"\n{heading}\n")[2], flags=re.MULTILINE)[0]
    return "\n".join(line.split(" | ")[0] for line in table.splitlines() if line.startswith("| `"))


def commands_in(cells: str) -> set:
    """Each `bertkit NAME WORD` of *cells*; alternatives are written NAME a|b."""
    found = set()
    for call in re.findall(r"`bertkit ([^`]+)`", cells):
        *before, alternatives = call.split(" ")
        found |= {" ".join([*before, word]) for word in alternatives.split(r"\|")}
    return found


def commands_of(group: click.Group, *words: str) -> set:
    """What can be called below *group*; the wrappers of other commands count as one."""
    context = click.Context(group)
    found = set()
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        plain = not isinstance(command, click.Group) or command.invoke_without_command
        found |= {" ".join([*words, name])} if plain else commands_of(command, *words, name)
    return found


def test_every_command_stands_in_the_table_of_commands() -> None:
    assert commands_in(rows("## The commands")) == commands_of(bertkit)


def test_every_variable_of_bertkits_own_stands_in_the_table_of_variables() -> None:
    sources = [*(ROOT / "bertkit").rglob("*.py"), *(ROOT / "launchers").rglob("*.py"),
               *(ROOT / "patches").rglob("*.diff")]  # fmt: skip
    read = set()
    for source in sources:
        read |= set(re.findall(r"\b(BERTKIT_[A-Z0-9_]*[A-Z0-9])\b", source.read_text("utf-8")))
    settings = {variable(place) for place in schema.scalars()}
    listed = set(re.findall(r"`(BERTKIT_[A-Z0-9_]+)`", rows("## Variables")))
    assert read - settings == listed - settings


def test_every_patch_stands_in_the_table_of_patches() -> None:
    there = {path.parent.name for path in shipped("patches").glob("*/patch.yaml")}
    assert set(re.findall(r"`([^`]+)`", rows("### The patches"))) == there


def test_every_link_to_a_page_leads_somewhere() -> None:
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(((?!https?:)[^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"

"""Options that several commands have, in one wording each."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, List, Optional

import click

Decorator = Callable[[Any], Any]

PATH = click.Path(path_type=Path)


def together(*options: Decorator) -> Decorator:
    """Several options as one decorator; the help shows them in this order."""

    def decorate(function: Any) -> Any:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def data_option(*, required: bool = True, help: str = "The data directory.") -> Decorator:
    """``--data DIR``, passed on as ``root``, of the commands that make or look at data."""
    return click.option(
        "--data", "root", type=PATH, envvar="BERTKIT_DATA", show_envvar=True, metavar="DIR",
        required=required, help=help,
    )  # fmt: skip


def repo_option(help: str = "The checkout that prepare-repo made.") -> Decorator:
    """``--repo DIR``, of the commands that work in or with a checkout."""
    return click.option(
        "--repo", type=PATH, envvar="BERTKIT_REPO", show_envvar=True, metavar="DIR",
        default=Path("Model-References"), show_default=True, help=help,
    )  # fmt: skip


def dry_run_option(says: str = "Say what would be done") -> Decorator:
    """``--dry-run``, of everything that changes something."""
    return click.option("--dry-run", is_flag=True, help=f"{says}; change nothing.")


def engine_option(does: str) -> Decorator:
    """``--engine`` and ``--repo``, of what bertkit or the script of a checkout can do."""
    return together(
        click.option(
            "--engine", type=click.Choice(["native", "upstream"]), default="native",
            show_default=True, help=f"Who {does}: bertkit, or the script of a checkout.",
        ),
        repo_option("The checkout, for --engine upstream."),
    )  # fmt: skip


def shards_option(default: int, lowest: int, highest: int) -> Decorator:
    """``--shards N``, of the commands that make records from text."""
    return click.option(
        "--shards", type=click.IntRange(lowest, highest), default=default, show_default=True,
        metavar="N", help="Files of training records of each length, and as many of test records.",
    )  # fmt: skip


SEED = click.option(
    "--seed", type=int, default=12345, show_default=True, metavar="N", help="Decides all chance."
)
WORKERS = click.option(
    "--workers", type=click.IntRange(1), metavar="N", show_default="one a core", help="Processes."
)
SHARING = together(
    click.option(
        "--share", metavar="I/N", show_default="by Open MPI's rank, or the pod's index",
        help="Do share I, from 0, of N.",
    ),
    click.option(
        "--wait-for-shares", "wait", type=click.FloatRange(0, min_open=True), default=600.0,
        show_default=True, metavar="SECONDS",
        help="How long to wait for another share that gives no sign of life.",
    ),
)  # fmt: skip
RELEASE = click.option(
    "--release", metavar="X.Y.Z", help="What the checkout is, where no lock says it."
)
ONLY = click.option("--only", metavar="PATCH,..", help="These patches only.")
SITE = click.option("--site", metavar="NAME|FILE", help="The site's profile.")
SAVE = together(
    click.option(
        "--save", type=PATH, metavar="DIR", show_default="bertkit-logs",
        help="Keep the logs below DIR.",
    ),
    click.option("--no-save", is_flag=True, help="Keep no logs."),
)  # fmt: skip


def patches_of(only: Optional[str]) -> Optional[List[str]]:
    """The patches that ``--only`` names; None where it was not given."""
    return None if only is None else [name.strip() for name in only.split(",") if name.strip()]

"""The ``bertkit`` command: one module per sub-command, imported only when it is called."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Dict, List, Optional

import click

from bertkit import __version__

# command -> (module in this package, one line for --help). The module's ``command`` is the
# click command. The help lines stand here so that `bertkit --help` imports no sub-command.
COMMANDS: Dict[str, str] = {
    "doctor": "Say whether this machine is fit for a job, and what to do where not.",
    "demo": "Go the whole way on this machine, small: repository, data, training.",
    "prepare-repo": "Fetch the upstream release that fits this machine and patch it.",
    "data": "Make or fetch the data that training needs.",
    "train": "Run pre-training or fine-tuning on the cards of one node or several.",
    "rerun": "Start a recorded run again, if everything is as it was.",
    "patches": "List, check, apply and undo the patches of a checkout.",
    "upstream": "Compare the catalogue of releases with the live repository.",
    "config": "Show, make and check the settings of a site and its user.",
    "manifest": "Print a job for Kubernetes as YAML, or check one.",
    "submit": "Hand a job to a Kubernetes cluster.",
    "status": "Show the jobs in a cluster, their pods, and what is wrong.",
    "wait": "Follow a job in a cluster to its end; keep its logs.",
    "logs": "Print or keep what a job in a cluster prints.",
    "cancel": "End a job in a cluster.",
}


class _LazyGroup(click.Group):
    """A group that knows its commands' names without importing them (start-up stays short)."""

    def list_commands(self, ctx: click.Context) -> List[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> Optional[click.Command]:
        if name not in COMMANDS:
            return None
        module = import_module("bertkit.cli." + name.replace("-", "_"))
        found: click.Command = module.command
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="bertkit", message="%(prog)s %(version)s")
def bertkit() -> None:
    """Train BERT with TensorFlow on Habana Gaudi without editing a file by hand."""


def main() -> None:
    """Run the command line and exit: 0 done, else the code that ``bertkit.errors`` assigns."""
    from bertkit.cli.common import exit_code_of, leave

    for stream in (sys.stdout, sys.stderr):
        # A path that the terminal's encoding lacks is shown escaped instead of ending the program.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")

    leave(exit_code_of(bertkit, sys.argv[1:]))

"""``bertkit rerun``: a recorded run again, or what is different today."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any, List, Mapping, Optional

import click

from bertkit.cli.common import common_options
from bertkit.cli.options import PATH, dry_run_option

log = logging.getLogger("bertkit")

#: not the run's own: where it writes is said anew, and a rerun starts where the run started
_NOT_KEPT = {"output", "resume", "dry_run", "init_checkpoint"}


@click.command()
@click.argument("run", metavar="RUN.json|OUTPUT_DIRECTORY", type=PATH)
@click.option(
    "--output", type=PATH, metavar="DIR", show_default="the old place's name with -rerun-N",
    help="Where it writes.",
)  # fmt: skip
@click.option("--accept-changes", is_flag=True, help="Run although something is different.")
@dry_run_option("Print the plan and the differences")
@common_options
def command(
    run: Path, output: Optional[Path], accept_changes: bool, dry_run: bool, as_json: bool
) -> None:
    """Start a recorded run again, if everything is as it was.

    Compared are the checkout (exit code 4), the data and the checkpoint (6), the command, the
    ranks' environment and versions (3). The old output is never written to.
    """
    from bertkit.cli import train
    from bertkit.errors import BertkitError, UsageProblem
    from bertkit.launch.plan import Plan, absolute, rank_python
    from bertkit.launch.running import rerun
    from bertkit.upstream.lock import Lock

    recorded = rerun.load(absolute(run))
    place = absolute(output) if output else absolute(recorded.free_output())
    if os.path.realpath(place) == os.path.realpath(recorded.output):
        raise UsageProblem(
            "this is where the recorded run wrote to",
            where=place,
            next_step="take another --output DIR, or leave it out",
        )
    words = as_arguments(recorded.options, train.command)
    words += [f"--output={place}", f"--init-checkpoint={recorded.starts_from or 'none'}"]
    words += ["--dry-run"] if dry_run else []
    words += ["--json"] if as_json else []
    flags = recorded.options.get("flags") or []
    if not isinstance(flags, list) or not all(isinstance(flag, str) for flag in flags):
        raise UsageProblem("the record's options make no sense", where=recorded.file, why="flags")

    def compare(plan: Plan, lock: Optional[Lock]) -> List[BertkitError]:
        found = rerun.differences(
            recorded, plan, lock, rerun.versions_of(plan, rank_python(os.environ))
        )
        if not found:
            log.info("everything is as it was in %s", recorded.file)
        if accept_changes or dry_run:
            for each in found:
                log.warning("  different: %s", each)
        return [] if accept_changes else rerun.problems(found)

    with train.command.make_context("rerun", [*words, "--", *flags]) as context:
        doubt = rerun.untrusted(absolute(context.params["repo"]))
        if doubt is not None:
            raise UsageProblem(
                "the checkout that this record names is not to be trusted",
                where=context.params["repo"],
                why=doubt,
                next_step="prepare one of your own, and start the run by hand: bertkit train ...",
            )
        context.obj = click.get_current_context().find_root().obj
        context.meta[train.BEFORE_START] = compare
        train.command.invoke(context)


def as_arguments(options: Mapping[str, Any], of: click.Command) -> List[str]:
    """Recorded *options* as words of the command *of*, which checks them as it checks a user's.

    Raises:
        UsageProblem: it has no such option, or the value is none of a command line.
    """
    from bertkit.errors import UsageProblem

    known = {each.name: each.opts[0] for each in of.params if isinstance(each, click.Option)}
    words = []
    for name, value in sorted(options.items()):
        if name in _NOT_KEPT or name == "flags" or value is None or value is False:
            continue
        if name not in known:
            raise UsageProblem(
                f"the record has an option that this bertkit does not know: {name[:40]}",
                next_step="run it with the bertkit that wrote the record",
            )
        if value is True:
            words.append(known[name])
        elif isinstance(value, (str, int, float)) and "\0" not in str(value):
            words.append(f"{known[name]}={value}")
        else:
            raise UsageProblem(f"the record's option {name[:40]} makes no sense", why=repr(value))
    return words

"""``bertkit doctor``: is this machine fit, and is everything there for a job?"""

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import Any, List

import click

from bertkit.cli import train
from bertkit.cli.common import common_options, print_json

#: of train: what only a run has
_LEFT_OUT = {
    "as_json", "verbose", "quiet", "dry_run", "stall_timeout", "max_restarts",
}  # fmt: skip


@click.command()
@common_options
def command(as_json: bool, **options: Any) -> int:
    """Look at this machine, or at all that a job needs, and say what to do where it is not fit.

    \b
      bertkit doctor
      bertkit doctor --phase 1 --cards 8 --repo /scratch/Model-References --data /data

    Takes the options of train. Ends with 0 where all is well, with 3 where something is not.
    """
    from bertkit import doctor
    from bertkit.launch.plan import absolute
    from bertkit.report.diagnosis import print_diagnosis

    job = options["phase"] is not None or options["task"] is not None
    output = options["output"] or Path(os.environ.get("BERTKIT_OUTPUT") or "results")
    where = doctor.Surroundings(
        device=options["device"],
        repo=absolute(options["repo"]),
        data=absolute(options["data"]),
        output=absolute(output),
    )
    diagnosis = doctor.examine_machine(where, os.environ)
    if job:
        diagnosis += doctor.examine_job(
            train.request_of(**options),
            os.environ,
            resume=options["resume"],
            init_checkpoint=options["init_checkpoint"],
            patience=options["wait_for_nodes"],
        )
    if as_json:
        print_json(diagnosis.as_dict())
    else:
        print_diagnosis(diagnosis)
    return diagnosis.exit_code


def _options_of_train() -> List[click.Parameter]:
    return [copy.copy(each) for each in train.command.params if each.name not in _LEFT_OUT]


command.params = [*_options_of_train(), *command.params]

"""``bertkit train``: pre-training and fine-tuning on 1 to 8 cards, on one node or several."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Mapping, Optional, Tuple

import click

from bertkit.cli.common import common_options, print_json
from bertkit.cli.options import PATH, dry_run_option, repo_option

if TYPE_CHECKING:
    from bertkit.launch.plan import Request

#: in the context's ``meta`` of ``train``: looks at the plan before it is started
BEFORE_START = "bertkit.before_start"
_JOBS = {"1": "phase1", "2": "phase2", "mrpc": "mrpc", "squad": "squad"}


@click.command()
@click.option("--phase", type=click.Choice(["1", "2"]), help="Pre-training: phase 1 or 2.")
@click.option("--task", type=click.Choice(["mrpc", "squad"]), help="Fine-tuning: which task.")
@click.option(
    "--cards", type=click.IntRange(1, 8), default=1, show_default=True, metavar="N",
    help="Ranks on each node, one card each.",
)  # fmt: skip
@click.option(
    "--nodes", type=click.IntRange(1, 1024), metavar="M",
    show_default="all of the hostfile or the MPIJob; else this machine", help="How many nodes.",
)  # fmt: skip
@click.option(
    "--hostfile", type=PATH, metavar="FILE",
    help="The nodes, one a line: NAME slots=N. An MPIJob brings its own.",
)  # fmt: skip
@click.option(
    "--device", type=click.Choice(["auto", "hpu", "cpu"]), default="auto", show_default=True,
    help="auto: the Gaudi if there is one.",
)  # fmt: skip
@click.option(
    "--model", type=click.Choice(["large", "base", "tiny"]), default="large", show_default=True,
    help="tiny is for trying everything on a CPU.",
)  # fmt: skip
@repo_option()
@click.option(
    "--data", type=PATH, envvar="BERTKIT_DATA", show_envvar=True, metavar="DIR",
    default=Path("data"), show_default=True, help="The data directory.",
)  # fmt: skip
@click.option(
    "--output", type=PATH, metavar="DIR", show_default="$BERTKIT_OUTPUT/JOB, else results/JOB",
    help="Where this run writes.",
)  # fmt: skip
@click.option(
    "--init-checkpoint", default="auto", show_default=True, metavar="PREFIX|auto|pretrained|none",
    help="auto: the newest whole one of the job before, else for fine-tuning the pretrained model.",
)  # fmt: skip
@click.option(
    "--corpus", metavar="NAME", show_default="those that are there", help="Which records."
)
@click.option("--packed", is_flag=True, help="Pre-train on packed records.")
@click.option("--eval", "evaluate", is_flag=True, help="Evaluate after pre-training.")
@click.option(
    "--steps", type=click.IntRange(1), metavar="N", show_default="the recipe's", help="How many."
)
@click.option(
    "--batch", type=click.IntRange(1), metavar="N", show_default="the recipe's",
    help="Sequences of a card and pass.",
)  # fmt: skip
@click.option(
    "--global-batch", type=click.IntRange(1), metavar="N", show_default="the recipe's",
    help="Sequences of all cards and step.",
)  # fmt: skip
@click.option("--profile", metavar="FIRST,LAST", help="Trace these passes, counted from 1.")
@click.option("--resume", is_flag=True, help="Go on with the run in the output directory.")
@click.option(
    "--stall-timeout", type=click.FloatRange(0), default=1800, show_default=True,
    metavar="SECONDS", help="End a run without a step for so long; 0: never.",
)  # fmt: skip
@click.option(
    "--max-restarts", type=click.IntRange(0), default=0, show_default=True, metavar="K",
    help="After a failure or a stall, go on from the last checkpoint.",
)  # fmt: skip
@click.option(
    "--wait-for-nodes", type=click.FloatRange(0), default=300, show_default=True,
    metavar="SECONDS", help="How long other nodes get to answer.",
)  # fmt: skip
@click.option(
    "--ssh-port", type=click.IntRange(1, 65535), metavar="PORT",
    show_default="3022 for Gaudis, else as ssh is set up", help="Where the nodes' sshd listens.",
)  # fmt: skip
@click.option(
    "--scale-out", type=click.Choice(["gaudi", "host"]),
    show_default="host if HCCL_OVER_TCP or HCCL_OVER_OFI is set",
    help="Whose network joins Gaudi nodes.",
)  # fmt: skip
@dry_run_option("Print the plan")
@click.argument("flags", nargs=-1, type=click.UNPROCESSED, metavar="[-- UPSTREAM FLAGS]")
@common_options
def command(
    *,
    resume: bool,
    init_checkpoint: str,
    wait_for_nodes: float,
    stall_timeout: float,
    max_restarts: int,
    dry_run: bool,
    as_json: bool,
    **_job: Any,
) -> None:
    """Run pre-training or fine-tuning on 1 to 8 cards of one node, or of each of several.

    \b
      bertkit train --phase 1 --cards 8
      bertkit train --phase 2 --cards 8
      bertkit train --task mrpc --cards 8
      bertkit train --task squad --cards 8
    """
    from bertkit.launch import train
    from bertkit.launch.running.attempts import Supervision
    from bertkit.report import tables

    context = click.get_current_context()
    request = request_of(**context.params)
    plan, lock, trouble = train.plan_and_check(
        request,
        os.environ,
        resume=resume,
        init_checkpoint=init_checkpoint,
        dry_run=dry_run,
        patience=wait_for_nodes,
    )
    if plan is not None and BEFORE_START in context.meta:
        trouble += context.meta[BEFORE_START](plan, lock)
    if plan is None:
        train.refuse(trouble)
    assert plan is not None  # where there is none, there is trouble
    if dry_run:
        if as_json:
            print_json({**plan.as_dict(), "problems": [each.as_dict() for each in trouble]})
        else:
            tables.print_plan(plan, trouble)
        return
    train.refuse(trouble)
    assert lock is not None  # its absence is a problem, and was refused
    tables.print_start(plan)
    supervision = Supervision(stall_timeout, max_restarts, resume)
    result = train.execute(plan, lock, supervision, as_recorded(context.params))
    if as_json:
        print_json(result.as_dict())
    else:
        tables.print_results([result])


def request_of(
    *,
    phase: Optional[str],
    task: Optional[str],
    cards: int,
    nodes: Optional[int],
    hostfile: Optional[Path],
    device: str,
    model: str,
    repo: Path,
    data: Path,
    output: Optional[Path],
    corpus: Optional[str],
    packed: bool,
    evaluate: bool,
    steps: Optional[int],
    batch: Optional[int],
    global_batch: Optional[int],
    profile: Optional[str],
    ssh_port: Optional[int],
    scale_out: Optional[str],
    flags: Tuple[str, ...],
    **_others: object,
) -> Request:
    """What the options of ``train`` ask for; ``doctor`` has the same ones."""
    from bertkit.launch.nodes.hosts import choose, locate
    from bertkit.launch.plan import Request, absolute, default_output, rank_python
    from bertkit.launch.recipes.recipe import load

    if (phase is None) == (task is None):
        raise click.UsageError("say one of --phase 1, --phase 2, --task mrpc and --task squad")
    job = _JOBS[phase or task or ""]
    location = locate(os.environ, None if hostfile is None else absolute(hostfile))
    return Request(
        recipe=load(job),
        model=model,
        cards=cards,
        device=device,
        repo=absolute(repo),
        data=absolute(data),
        output=absolute(output) if output else default_output(job, os.environ),
        init_checkpoint=None,
        steps=steps,
        extra_flags=flags,
        python=rank_python(os.environ),
        location=location,
        hosts=choose(location, nodes, cards),
        ssh_port=ssh_port,
        scale_out=scale_out,
        batch=batch,
        global_batch=global_batch,
        packed=packed,
        evaluate=evaluate,
        profile=profile,
        corpus=corpus,
    )


def as_recorded(parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """The options of ``bertkit train`` as a record keeps them: JSON values, paths absolute."""
    return {
        name: str(value.expanduser().absolute())
        if isinstance(value, Path)
        else list(value)
        if isinstance(value, tuple)
        else value
        for name, value in sorted(parameters.items())
        if name not in ("as_json", "verbose", "quiet", "dry_run")
    }

"""``bertkit train``: pre-training and fine-tuning on 1 to 8 cards, on one node or several."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Optional, Tuple

import click

from bertkit.cli.common import common_options, print_json

if TYPE_CHECKING:
    from bertkit.launch.plan import Request

_JOBS = {"1": "phase1", "2": "phase2", "mrpc": "mrpc", "squad": "squad"}


@click.command()
@click.option("--phase", type=click.Choice(["1", "2"]), help="Pre-training: phase 1 or 2.")
@click.option("--task", type=click.Choice(["mrpc", "squad"]), help="Fine-tuning: which task.")
@click.option(
    "--cards",
    type=click.IntRange(1, 8),
    default=1,
    show_default=True,
    help="Ranks on each node, one card each.",
)
@click.option(
    "--nodes",
    type=click.IntRange(1, 1024),
    help="How many nodes [default: all of the hostfile or the MPIJob; else this machine].",
)
@click.option(
    "--hostfile",
    type=click.Path(path_type=Path),
    help="The nodes, one a line: NAME slots=N. An MPIJob brings its own.",
)
@click.option(
    "--device",
    type=click.Choice(["auto", "hpu", "cpu"]),
    default="auto",
    show_default=True,
    help="auto: the Gaudi if there is one.",
)
@click.option(
    "--model",
    type=click.Choice(["large", "base", "tiny"]),
    default="large",
    show_default=True,
    help="tiny is for trying everything on a CPU.",
)
@click.option(
    "--repo",
    type=click.Path(path_type=Path),
    envvar="BERTKIT_REPO",
    default=Path("Model-References"),
    show_default=True,
    help="The checkout that prepare-repo made. [BERTKIT_REPO]",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    envvar="BERTKIT_DATA",
    default=Path("data"),
    show_default=True,
    help="The data directory. [BERTKIT_DATA]",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="Where this run writes [default: $BERTKIT_OUTPUT/JOB, else results/JOB].",
)
@click.option(
    "--init-checkpoint",
    default="auto",
    show_default=True,
    metavar="PREFIX|auto|pretrained|none",
    help="auto: the newest whole one of the job before, else for fine-tuning the pretrained model.",
)
@click.option("--corpus", metavar="NAME", help="Which records [default: those that are there].")
@click.option("--packed", is_flag=True, help="Pre-train on packed records.")
@click.option("--eval", "evaluate", is_flag=True, help="Evaluate after pre-training.")
@click.option("--steps", type=click.IntRange(min=1), help="How many, instead of the recipe's.")
@click.option("--batch", type=click.IntRange(min=1), help="Sequences of a card and pass.")
@click.option("--global-batch", type=click.IntRange(min=1), help="Sequences of all cards and step.")
@click.option("--profile", metavar="FIRST,LAST", help="Trace these passes, counted from 1.")
@click.option("--resume", is_flag=True, help="Go on with the run in the output directory.")
@click.option(
    "--stall-timeout",
    type=click.FloatRange(min=0),
    default=1800,
    show_default=True,
    metavar="SECONDS",
    help="End a run without a step for so long; 0: never.",
)
@click.option(
    "--max-restarts",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="K",
    help="After a failure or a stall, go on from the last checkpoint.",
)
@click.option(
    "--wait-for-nodes",
    type=click.FloatRange(min=0),
    default=300,
    show_default=True,
    metavar="SECONDS",
    help="How long other nodes get to answer.",
)
@click.option(
    "--ssh-port",
    type=click.IntRange(1, 65535),
    help="Where the nodes' sshd listens [default: 3022 for Gaudis, else as ssh is set up].",
)
@click.option(
    "--scale-out",
    type=click.Choice(["gaudi", "host"]),
    help="Whose network joins Gaudi nodes [default: host if HCCL_OVER_TCP or _OFI is set].",
)
@click.option("--dry-run", is_flag=True, help="Print the plan; start nothing, change nothing.")
@click.argument("flags", nargs=-1, type=click.UNPROCESSED, metavar="[-- UPSTREAM FLAGS]")
@common_options
def command(
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
    init_checkpoint: str,
    corpus: Optional[str],
    packed: bool,
    evaluate: bool,
    steps: Optional[int],
    batch: Optional[int],
    global_batch: Optional[int],
    profile: Optional[str],
    resume: bool,
    stall_timeout: float,
    max_restarts: int,
    wait_for_nodes: float,
    ssh_port: Optional[int],
    scale_out: Optional[str],
    dry_run: bool,
    flags: Tuple[str, ...],
    as_json: bool,
) -> None:
    """Run pre-training or fine-tuning on 1 to 8 cards of one node, or of each of several.

    \b
      bertkit train --phase 1 --cards 8
      bertkit train --phase 2 --cards 8
      bertkit train --task mrpc --cards 8
      bertkit train --task squad --cards 8
    """
    from bertkit.cli.rerun import BEFORE_START, as_recorded
    from bertkit.launch import train
    from bertkit.launch.running.attempts import Supervision
    from bertkit.report import tables

    request = request_of(**click.get_current_context().params)
    plan, lock, trouble = train.plan_and_check(
        request,
        os.environ,
        resume=resume,
        init_checkpoint=init_checkpoint,
        dry_run=dry_run,
        patience=wait_for_nodes,
    )
    context = click.get_current_context()
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

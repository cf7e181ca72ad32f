"""``bertkit doctor``: what was looked at, what was found, whether it is fit, and what to do.

Without a job this machine is looked at: what it could train. With one, everything that ``train``
checks before it starts is checked as well.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Dict, List, Mapping, Optional

from bertkit.devices import environment as device_environment
from bertkit.doctor import machine, places, software
from bertkit.doctor.findings import Diagnosis, Finding, Surroundings
from bertkit.errors import BertkitError
from bertkit.launch import train
from bertkit.launch.nodes import question as node_ask
from bertkit.launch.plan import Request, choose_device, rank_python
from bertkit.launch.recipes import recipe
from bertkit.upstream.lock import Lock, read_lock

__all__ = ["Diagnosis", "Finding", "Surroundings", "examine_job", "examine_machine"]


def examine_machine(where: Surroundings, environ: Mapping[str, str]) -> Diagnosis:
    """Look at this machine: what it could train.

    Args:
        where: the places and the device to look at.
        environ: the caller's environment.
    """
    where = replace(where, device=choose_device(where.device))
    python = rank_python(environ)
    lock: Optional[Lock] = None
    unread: Optional[BertkitError] = None
    try:
        lock = read_lock(where.repo)
    except BertkitError as error:
        unread = error
    asked = node_ask.question(
        modules=software.modules_of(
            [recipe.load(job) for job in recipe.names()], lock.release if lock else None
        ),
        output=str(where.output),
        open_devices=where.device == "hpu",
    )
    found: List[Finding] = []
    facts = None
    try:
        facts = node_ask.ask_here(python, _environment(where, environ), asked)
        found += machine.findings(facts, where.device, environ)
        found += software.findings(facts, where.device, python, lock, environ)
    except BertkitError as error:
        found.append(Finding.of("Python of the ranks", error))
    found += places.findings(where, facts, lock, unread)
    return Diagnosis(tuple(found))


def examine_job(
    request: Request,
    environ: Mapping[str, str],
    *,
    resume: bool,
    init_checkpoint: str,
    patience: float,
) -> Diagnosis:
    """Look at everything that ``train`` checks before it starts *request*; see there."""
    plan, _, trouble = train.plan_and_check(
        request, environ, resume=resume, init_checkpoint=init_checkpoint, patience=patience
    )
    what = request.recipe.job
    found = [Finding.of(what, error) for error in trouble]
    if plan is not None:
        found += [Finding(what, remark) for remark in plan.remarks]
    if not trouble:
        found.append(Finding(what, f"nothing stands in the way of {request.recipe.title}", True))
    return Diagnosis(tuple(found))


def _environment(where: Surroundings, environ: Mapping[str, str]) -> Dict[str, str]:
    """What a rank would find in its environment."""
    environment = device_environment.inherited(environ)
    if where.device == "hpu":
        added, _ = device_environment.for_hpu(environment, where.repo)
    else:
        added, _ = device_environment.for_cpu(environment, where.repo, threads=1)
    environment.update(added)
    device_environment.with_dllogger(environment)
    return environment

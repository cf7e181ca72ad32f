"""The nodes of a run: who is there, before there is a plan, and who is fit, before it starts."""

from __future__ import annotations

import secrets
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Dict, Mapping, Optional, Sequence

from bertkit.devices import environment as device_environment
from bertkit.devices.machine import Machine
from bertkit.errors import BertkitError
from bertkit.launch import preflight
from bertkit.launch.nodes import question as node_ask
from bertkit.launch.nodes import survey
from bertkit.launch.nodes.asking import Nodes
from bertkit.launch.nodes.facts import Facts
from bertkit.launch.nodes.transport import Transport, find
from bertkit.launch.plan import Plan, Request, choose_device, telling
from bertkit.upstream.lock import Lock

#: seconds for a second answer of nodes that have answered once
_ANSWER_AGAIN = 60.0


@dataclass(frozen=True)
class Present:
    """A request whose nodes have answered.

    Attributes:
        request: with the device that was found.
        machine: what a plan may count on at each node; None: this machine.
    """

    request: Request
    machine: Optional[Machine] = None


@dataclass(frozen=True)
class Inspected:
    """What is known of a plan when its nodes have been looked at.

    Attributes:
        plan: with what was found out taken in.
        problems: what stands in its way.
        keeper: the facts of a machine that has the output directory: the launcher, or rank 0's.
    """

    plan: Plan
    problems: Sequence[BertkitError]
    keeper: Facts


def alone(request: Request) -> Present:
    """The request as this machine alone would have it."""
    return Present(replace(request, device=choose_device(request.device)))


def call(request: Request, environ: Mapping[str, str], patience: float) -> Present:
    """Wait for the nodes of *request*, and look what machines they are.

    The launcher of an MPIJob has no cards: whether there are Gaudis, and how many cores each may
    have, only the workers know.

    Args:
        request: what is wanted.
        environ: the caller's environment.
        patience: seconds that the nodes get.

    Raises:
        EnvironmentUnfit: names the nodes that did not answer, or there is nothing to reach them
            with.
    """
    if not request.location.in_pods:
        # On bare machines the launcher is like the nodes, and mostly one of them.
        request = alone(request).request
    if not request.hosts:
        return Present(request)
    environment = device_environment.inherited(environ, kubectl=request.by_kubectl)
    transport = find(environment, request.ssh_port_from(environ))
    answers = nodes_of(request, transport, environment).ask(node_ask.question(), patience)
    if request.device == "auto":
        there = any(facts.devices for facts in answers.values())
        request = replace(request, device="hpu" if there else "cpu")
    return Present(request, survey.least(answers.values()))


def inspect(
    request: Request,
    plan: Plan,
    lock: Optional[Lock],
    here: Facts,
    *,
    probe: bool,
    resume: bool = False,
) -> Inspected:
    """Look at every node of *plan* through the way that mpirun will take.

    Args:
        request: what was asked for.
        plan: made from it.
        lock: of the checkout, if it could be read.
        here: this machine's own facts.
        probe: find out by a small file whether the nodes see the same output directory; else it
            is taken for granted.
        resume: nodes may hold a run in the output directory.

    Raises:
        EnvironmentUnfit: a node that was there does not answer any more.
    """
    output = Path(plan.output)
    nodes = nodes_of(request, Transport(plan.agent), plan.environment)
    with survey.probe_file(output) if probe else nullcontext() as looked_for:
        answers = nodes.ask(preflight.question(request, plan, lock, looked_for), _ANSWER_AGAIN)
    found = survey.judge(here, answers, preflight.wanted(request, plan, lock), output)
    said, trouble, shared = list(found.remarks), list(found.problems), found.shared
    if not resume:
        trouble += survey.held_problems(answers, output)
    if found.afar:
        first = nodes.names[0]
        plan = telling(plan)
        said.append(
            f"the launcher does not see the output directory of {first}, where results and "
            "checkpoints stay: rank 0 tells how it gets on"
        )
        sees = _share(nodes, output)
        shared = all(sees.values())
        trouble += survey.storage_problems(sees, output)
    environment = dict(plan.environment)
    if not shared:
        environment["BERTKIT_OUTPUT_SHARED"] = "0"
        said.append(
            "every node has an output directory of its own: each has its own checkpoints, "
            "and its ranks' logs stay there"
        )
    plan = replace(plan, environment=environment, remarks=(*plan.remarks, *said))
    return Inspected(plan, trouble, answers[nodes.names[0]] if found.afar else here)


def _share(nodes: Nodes, output: Path) -> Dict[str, bool]:
    """Name of each node -> whether it sees what the first one writes into its output directory."""
    first, others = nodes.named(nodes.names[:1]), nodes.named(nodes.names[1:])
    probe = {"action": "write", "nonce": secrets.token_hex(16)}

    def ask(whom: Nodes, action: str) -> Dict[str, Facts]:
        asked = node_ask.question(output=str(output), probe={**probe, "action": action})
        return whom.ask(asked, _ANSWER_AGAIN)

    if not others.names:
        return {nodes.names[0]: True}
    written = ask(first, "write")[nodes.names[0]].probe
    if written is None:
        return {name: False for name in nodes.names}
    probe["directory"] = written.directory
    try:
        answers = ask(others, "read")
    finally:
        ask(first, "remove")
    found = {name: bool(facts.probe and facts.probe.found) for name, facts in answers.items()}
    return {nodes.names[0]: True, **found}


def nodes_of(request: Request, transport: Transport, environment: Mapping[str, str]) -> Nodes:
    """The nodes of *request*, to be asked in the *environment* of the ranks."""
    exports = device_environment.exported(environment)
    names = tuple(host.name for host in request.hosts)
    return Nodes(transport, names, request.python, {name: environment[name] for name in exports})

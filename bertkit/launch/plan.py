"""The plan of a run: everything resolved, nothing started.

One object is printed by ``--dry-run``, run by ``train`` and recorded in ``run.json``.
"""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from shlex import quote
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from bertkit.devices import environment as device_environment
from bertkit.devices import visible
from bertkit.devices.machine import Machine, gaudi_devices, system_root, this_machine
from bertkit.errors import EnvironmentUnfit
from bertkit.launch import mpi
from bertkit.launch.filling import fill_in
from bertkit.launch.nodes.transport import find as find_transport
from bertkit.launch.recipes.formula import Number
from bertkit.launch.recipes.scaling import Derivation as Derivation
from bertkit.launch.request import Request as Request
from bertkit.resources import shipped

#: bertkit's own folder inside a run's output directory
RUN_DIRECTORY = ".bertkit"


@dataclass(frozen=True)
class Plan:
    """A run, resolved.

    Attributes:
        job, title, model, device, ranks: what runs, on what.
        hosts: the nodes; empty: this machine alone.
        location: what kind of place that is (see :mod:`bertkit.launch.nodes.hosts`).
        agent: what reaches the nodes, as the words before a host's name.
        argv: the command that is started (mpirun, or the single rank).
        script: upstream's script and its flags, as each rank gets them.
        environment: all of the command's environment.
        exports: the variables that mpirun sends to the ranks.
        working_directory: where upstream's scripts expect to be started.
        derivations: the numbers that follow the ranks.
        numbers: all numbers of the job.
        needs: name -> file or directory that must be there.
        starts_from: the checkpoint's prefix, or None.
        output, run_directory: where results and records go.
        remarks: what a careful reader should know.
        evaluation: what prints the scores when the ranks have ended; empty: nothing.
    """

    job: str
    title: str
    model: str
    device: str
    ranks: int
    hosts: Tuple[str, ...]
    location: str
    agent: Tuple[str, ...]
    argv: Tuple[str, ...]
    script: Tuple[str, ...]
    environment: Mapping[str, str]
    exports: Tuple[str, ...]
    working_directory: str
    derivations: Tuple[Derivation, ...]
    numbers: Mapping[str, Number]
    needs: Mapping[str, str]
    starts_from: Optional[str]
    output: str
    run_directory: str
    remarks: Tuple[str, ...]
    evaluation: Tuple[str, ...] = ()

    def as_dict(self) -> Dict[str, Any]:
        """The plan as JSON values."""
        return asdict(self)


def flag_of(plan: Plan, name: str) -> Optional[str]:
    """The value of upstream's flag *name* in *plan*: the last one counts; None: not given."""
    start = f"--{name}="
    return next(
        (flag[len(start) :] for flag in reversed(plan.script) if flag.startswith(start)), None
    )


#: says to ``launchers/rank.py`` that the launcher does not see rank 0's files
_TELL = "--tell"


def telling(plan: Plan) -> Plan:
    """*plan* with a rank 0 that tells on mpirun's output what it writes."""
    argv = list(plan.argv)
    argv.insert(argv.index(plan.run_directory), _TELL)
    return replace(plan, argv=tuple(argv))


def tells(plan: Plan) -> bool:
    """Whether rank 0 tells what it writes, because the launcher does not see its files."""
    return _TELL in plan.argv


def choose_device(asked: str) -> str:
    """``hpu`` or ``cpu``: as asked, or by whether there are device nodes of a Gaudi here."""
    if asked != "auto":
        return asked
    return "hpu" if gaudi_devices(system_root()) else "cpu"


def make_plan(
    request: Request, environ: Mapping[str, str], machine: Optional[Machine] = None
) -> Plan:
    """Resolve *request*, with the caller's environment *environ*.

    Args:
        request: what is wanted.
        environ: the caller's environment.
        machine: what the nodes have, the least of each; None: they are as this machine is.

    Raises:
        UsageProblem: the numbers do not work out, a flag contradicts the plan, or this release
            cannot do what is wanted.
        DataDamaged: packed records say nothing of how they are packed.
        EnvironmentUnfit: there is no mpirun for more than one card, or nothing to reach nodes with.
    """
    recipe = request.recipe
    machine = machine or this_machine(system_root())
    filled = fill_in(request, RUN_DIRECTORY)
    run_directory = request.output / RUN_DIRECTORY
    environment, remarks = _environment(request, environ, machine)
    remarks += [*request.remarks, *filled.remarks]
    program = [str(request.python), str(shipped("launchers") / "rank.py"), str(run_directory)]
    program += filled.script
    agent: Tuple[str, ...] = ()
    exports = device_environment.exported(environment)
    if request.ranks == 1 and not request.hosts:
        argv = program
    else:
        mpirun = mpi.find(environ, request.python)
        binding = _binding(request, environment, machine)
        remarks.append(f"binding: {binding.reason}")
        network = _network(request, environ)
        if network.hosts:
            agent = find_transport(environment, network.ssh_port).agent
            remarks.append(f"nodes: {request.location.source}")
        argv = mpi.command(mpirun, request.ranks, binding, exports, program, network)
        if mpirun.version >= (5,):
            environment.update(mpi.in_version_5s_names(environment))
    return Plan(
        job=recipe.job,
        title=recipe.title,
        model=request.model,
        device=request.device,
        ranks=request.ranks,
        hosts=tuple(host.name for host in request.hosts),
        location=request.location.kind,
        agent=agent,
        argv=tuple(argv),
        script=filled.script,
        environment=dict(sorted(environment.items())),
        exports=tuple(exports),
        working_directory=str((request.repo / recipe.script).parent),
        derivations=filled.derivations,
        numbers=filled.numbers,
        needs=filled.needs,
        starts_from=None if request.init_checkpoint is None else str(request.init_checkpoint),
        output=str(request.output),
        run_directory=str(run_directory),
        remarks=tuple(remarks),
        evaluation=filled.evaluation,
    )


def _environment(
    request: Request, environ: Mapping[str, str], machine: Machine
) -> Tuple[Dict[str, str], List[str]]:
    environment = device_environment.inherited(environ, kubectl=request.by_kubectl)
    if request.device == "hpu":
        added, remarks = device_environment.for_hpu(environment, request.repo)
        if len(request.hosts) > 1:
            more, said = device_environment.for_scale_out(environment, request.scale_out)
            added.update(more)
            remarks.append(said)
    else:
        threads = max(1, machine.cores.physical // request.cards)
        added, remarks = device_environment.for_cpu(environment, request.repo, threads=threads)
        remarks.insert(
            0, "this is a CPU run: it shows that everything works, not how fast a Gaudi is"
        )
    environment.update(added)
    environment["PYTHONUNBUFFERED"] = "1"  # so that a rank's log is there when the rank dies
    environment["PYTHONFAULTHANDLER"] = "1"  # and says where
    # All ranks have one output directory (patch shared-checkpoints): on one machine always, on
    # several it is found out before they start.
    environment["BERTKIT_OUTPUT_SHARED"] = "1"
    device_environment.with_dllogger(environment)
    return environment, remarks


def _binding(request: Request, environ: Mapping[str, str], machine: Machine) -> mpi.Binding:
    if request.device == "cpu":
        return mpi.binding_for_cpu()
    try:
        modules = visible.modules_of_ranks(environ, request.cards)
    except EnvironmentUnfit:  # the checks before the start refuse it, with all else they find
        modules = tuple(range(request.cards))
    near = [machine.numa.get(module) for module in modules]
    return mpi.binding_for_hpu(request.cards, machine.devices, machine.cores, near)


def _network(request: Request, environ: Mapping[str, str]) -> mpi.Network:
    if not request.hosts:
        return mpi.Network()
    return mpi.Network(
        hosts=tuple(host.name for host in request.hosts),
        ssh_port=request.ssh_port_from(environ),
        # Upstream's own variable for it; Open MPI's reaches mpirun by itself.
        interfaces=None if request.location.in_pods else environ.get("MPI_TCP_INCLUDE"),
    )


def as_shell(argv: Sequence[str]) -> str:
    """*argv* as one could paste it into a shell, for people to read."""
    return " ".join(quote(part) for part in argv)


def absolute(path: Path) -> Path:
    """*path* with ``~`` expanded, seen from the current directory; links are kept."""
    return path.expanduser().absolute()


def default_output(job: str, environ: Mapping[str, str]) -> Path:
    """Where *job* writes if nothing is said: ``$BERTKIT_OUTPUT/JOB`` or ``./results/JOB``."""
    return absolute(Path(environ.get("BERTKIT_OUTPUT") or "results")) / job


def rank_python(environ: Mapping[str, str]) -> Path:
    """The ranks' Python: ``$BERTKIT_PYTHON``, else the one that runs bertkit."""
    # Not resolved: a virtual environment's interpreter is a link, and must be called by it.
    return Path(environ.get("BERTKIT_PYTHON") or sys.executable).absolute()

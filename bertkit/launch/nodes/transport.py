"""How a command gets to another node: by the same agent that mpirun uses.

On bare machines and under an MPIJob v2beta1 that is ssh, under an MPIJob v1 a script around
``kubectl exec``. What answers here will answer mpirun; what does not is told before a rank starts.
"""

from __future__ import annotations

import os
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import List, Mapping, Optional, Sequence, Tuple

from bertkit.errors import EnvironmentUnfit

#: sshd's port in Habana's containers on bare machines (upstream's README, "Multi-server Training
#: Docker ssh Setup"); in a pod of an MPIJob it is ssh's own.
HABANA_SSH_PORT = 3022
#: The variable with which upstream's README changes it.
SSH_PORT_VARIABLE = "DOCKER_SSHD_PORT"

# No question that nobody can answer, and an end where a host is silent.
_SSH_OPTIONS = ("-o", "BatchMode=yes", "-o", "ConnectTimeout=15")


@dataclass(frozen=True)
class Transport:
    """What stands in front of a host's name to run a command there."""

    agent: Tuple[str, ...]

    def reach(self, host: str, argv: Sequence[str]) -> List[str]:
        """The argument list that runs *argv* on *host*.

        The agent hands one string to a shell on the other side, as mpirun's own calls do: every
        word is quoted for it.
        """
        return [*self.agent, host, " ".join(map(shlex.quote, argv))]


def find(environment: Mapping[str, str], port: Optional[int]) -> Transport:
    """The agent that Open MPI will use with *environment*.

    Args:
        environment: the run's.
        port: for ssh, where it is not ssh's own.

    Raises:
        EnvironmentUnfit: there is no such program.
    """
    setting = environment.get("OMPI_MCA_plm_rsh_agent") or "ssh : rsh"
    path = environment.get("PATH", os.defpath)
    for choice in setting.split(":"):
        words = shlex.split(choice)
        program = shutil.which(words[0], path=path) if words else None
        if program is not None:
            break
    else:
        raise EnvironmentUnfit(
            f"nothing reaches the other nodes: there is no {setting.strip()}",
            why="Open MPI starts ranks on other nodes with it",
            next_step="apt-get install openssh-client, or set OMPI_MCA_plm_rsh_agent",
        )
    agent = [program, *words[1:], *shlex.split(environment.get("OMPI_MCA_plm_rsh_args", ""))]
    if Path(program).name == "ssh":
        agent += _SSH_OPTIONS
        if port is not None:
            agent += ["-p", str(port)]
    return Transport(tuple(agent))


def ssh_port(
    environ: Mapping[str, str], asked: Optional[int], *, in_pods: bool, hpu: bool
) -> Optional[int]:
    """The port that ssh must be told; None where its own configuration holds.

    Args:
        environ: the caller's environment.
        asked: the user's option.
        in_pods: this is the launcher of an MPIJob: its pods have sshd on port 22.
        hpu: the ranks run in Habana's containers.

    Raises:
        EnvironmentUnfit: the variable holds no port.
    """
    if asked is not None or in_pods:
        return asked
    if environ.get("OMPI_MCA_plm_rsh_agent") or "-p" in environ.get("OMPI_MCA_plm_rsh_args", ""):
        return None  # the site has said how
    given = environ.get(SSH_PORT_VARIABLE)
    if given is None:
        return HABANA_SSH_PORT if hpu else None
    if not given.isdigit() or not 0 < int(given) < 65536:
        raise EnvironmentUnfit(
            f"{SSH_PORT_VARIABLE} is no port", why=repr(given[:40]), next_step="--ssh-port N"
        )
    return int(given)

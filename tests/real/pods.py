"""The pods of an MPIJob on one machine: a launcher and two workers, set up as by the MPI operator.

Each is a host of :mod:`tests.real.two_hosts`: a network namespace with a name and an address of its
own; storage is shared, as by a volume that all pods mount. The workers of v2beta1 run a real sshd
with the job's key, those of v1 are reached by a script in the place of ``kubectl exec``.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Dict, Iterator, List, Mapping, Sequence

from tests.real.two_hosts import HOSTS, NETWORK, TwoHosts, two_hosts

JOB = "bert"
SSHD = "/usr/sbin/sshd"


class Pods:
    """The launcher's side: what the operator gives it, and how a command is run in it."""

    def __init__(self, hosts: TwoHosts, variables: Dict[str, str], workers: Sequence[str]) -> None:
        self._hosts = hosts
        self.variables = variables
        self.workers = list(workers)

    def launch(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run ``bertkit`` with *arguments* in the launcher."""
        return self.run([sys.executable, "-m", "bertkit", *arguments], more)

    def run(self, argv: Sequence[str], more: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """Run *argv* in the launcher, with *more* variables."""
        return subprocess.run(
            [*self._hosts.enter(0), *argv], env={**os.environ, **self.variables, **more},
            timeout=900, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def argv(self, *arguments: str) -> List[str]:
        """What runs ``bertkit`` with *arguments* in the launcher."""
        return [*self._hosts.enter(0), sys.executable, "-m", "bertkit", *arguments]


def why_no_sshd() -> str:
    """Why there can be no sshd here; empty if there can."""
    return "" if Path(SSHD).exists() and shutil.which("ssh") else "sshd or ssh is not installed"


@contextlib.contextmanager
def pods(directory: Path, version: str, slots: int) -> Iterator[Pods]:
    """A launcher and two workers of an MPIJob of *version* ``v1`` or ``v2beta1``.

    Args:
        directory: for keys, the hostfile and scripts.
        version: of the MPIJob's API.
        slots: of each worker.
    """
    named = f"{JOB}-worker-{{}}.{JOB}.me.svc" if version == "v2beta1" else f"{JOB}-worker-{{}}"
    workers = [named.format(number) for number in range(len(HOSTS))]
    with contextlib.ExitStack() as stack:
        hosts = stack.enter_context(two_hosts(directory, slots))
        names = "".join(f"{NETWORK}.{host} {name}\n" for host, name in zip(HOSTS, workers))
        for number in (0, *HOSTS):
            stack.enter_context(_known(hosts.namespace(number), names))
        hostfile = directory / "hostfile"
        hostfile.write_text("".join(f"{name} slots={slots}\n" for name in workers))
        variables = {
            "K_MPI_JOB_ROLE": "launcher",
            "OMPI_MCA_orte_default_hostfile": str(hostfile),
            "OMPI_MCA_orte_keep_fqdn_hostnames": "true",
        }
        if version == "v1":
            agent = directory / "kubexec.sh"
            cases = "".join(f"  {name}) number={host} ;;\n" for host, name in zip(HOSTS, workers))
            agent.write_text(
                f"#!/bin/sh\npod=$1; shift\ncase $pod in\n{cases}esac\n"
                f'exec {" ".join(hosts.enter("$number"))} unshare --uts '
                '/bin/sh -c "hostname $pod; $*"\n'
            )
            agent.chmod(0o755)
            variables["OMPI_MCA_plm_rsh_agent"] = str(agent)
        else:
            ssh = _ssh(directory)
            variables["PATH"] = f"{ssh.parent}:{os.environ['PATH']}"
            variables["OMPI_MCA_plm_rsh_args"] = "-o ConnectionAttempts=10"
            for host, name in zip(HOSTS, workers):
                stack.enter_context(_sshd(directory, hosts.enter(host), name))
        yield Pods(hosts, variables, workers)


@contextlib.contextmanager
def _known(namespace: str, names: str) -> Iterator[None]:
    """The hosts' names, as the cluster's DNS would know them, within one namespace."""
    place = Path("/etc/netns") / namespace
    place.mkdir(parents=True)
    (place / "hosts").write_text("127.0.0.1 localhost\n" + names)
    try:
        yield
    finally:
        shutil.rmtree(place)


def _ssh(directory: Path) -> Path:
    """An ``ssh`` with the job's key, as the operator mounts it into the pods."""
    key = directory / "id_ecdsa"
    subprocess.run(["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", str(key)], check=True)
    config = directory / "ssh_config"
    config.write_text(
        f"Host *\n  IdentityFile {key}\n  StrictHostKeyChecking no\n"
        "  UserKnownHostsFile /dev/null\n  LogLevel ERROR\n"
    )
    program = directory / "bin" / "ssh"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {config} "$@"\n')
    program.chmod(0o755)
    return program


@contextlib.contextmanager
def _sshd(directory: Path, enter: Sequence[str], name: str) -> Iterator[None]:
    """A worker's sshd on port 22 of its own address."""
    Path("/run/sshd").mkdir(exist_ok=True)
    config, host_key = directory / f"sshd-{name}", directory / f"host-key-{name}"
    subprocess.run(["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", str(host_key)], check=True)
    config.write_text(
        f"HostKey {host_key}\nAuthorizedKeysFile {directory}/id_ecdsa.pub\nPidFile none\n"
        "PermitRootLogin yes\nStrictModes no\nUsePAM no\nMaxStartups 100\n"
    )
    start = ["unshare", "--uts", "/bin/sh", "-c", f"hostname {name}; exec {SSHD} -De -f {config}"]
    with (directory / f"sshd-{name}.log").open("wb") as log:
        process = subprocess.Popen([*enter, *start], stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + 60
            while b"listening" not in (directory / f"sshd-{name}.log").read_bytes():
                assert process.poll() is None, (directory / f"sshd-{name}.log").read_text()
                assert time.monotonic() < deadline, "sshd does not listen"
                time.sleep(0.05)
            yield
        finally:
            process.terminate()
            process.wait()

"""The environment of the ranks: what is passed on, and what a device adds.

Only what is on the allow-list reaches mpirun and the run record, so that a token or a password in
the caller's environment goes nowhere.
"""

from __future__ import annotations

import fnmatch
import os
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from bertkit.resources import shipped

#: Upstream's directory of BERT below the checkout.
BERT = Path("TensorFlow/nlp/bert")

#: Needed by mpirun itself and by any program; the rank on this host inherits them.
_LOCAL = (
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "TMPDIR", "LANG", "LC_*", "TZ",
    # Open MPI's settings: sites choose their transport with them. Open MPI 5 reads PRTE's and
    # PMIx's for its runtime half.
    "OMPI_MCA_*", "PRTE_MCA_*", "PMIX_MCA_*", "OPAL_PREFIX", "MPI_ROOT", "K_MPI_JOB_ROLE",
    # Where ssh's agent listens: a path, although its name looks like a secret.
    "SSH_AUTH_SOCK",
)  # fmt: skip

#: Sent to every rank, on every host, by name.
_RANKS = (
    "PYTHONPATH", "LD_LIBRARY_PATH", "OMP_NUM_THREADS", "KMP_*",
    # Whether the hosts share the output directory: the patch shared-checkpoints heeds it.
    "BERTKIT_OUTPUT_SHARED",
    # Habana's: logs, kernels, devices, the collective library, the bridge to TensorFlow.
    "HABANA_*", "GC_KERNEL_PATH", "HCL_*", "HCCL_*", "HLS_MODULE_ID", "MULTI_HLS_IPS",
    "ENABLE_CONSOLE", "LOG_LEVEL_*", "RDMA_CORE_*", "FI_*",
    "HOROVOD_*", "TF_*", "PYTHONHASHSEED", "PYTHONFAULTHANDLER", "PYTHONUNBUFFERED",
)  # fmt: skip

#: What kubectl needs to reach the workers of an MPIJob v1 with the pod's own service account.
_KUBECTL = ("KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT", "KUBERNETES_SERVICE_PORT_HTTPS")

_HIERARCHICAL = "HOROVOD_HIERARCHICAL_ALLREDUCE"
#: Habana's collective library over TCP or libfabric (Habana docs: "Scale-Out via Host-NIC").
_OVER_HOST = ("HCCL_OVER_TCP", "HCCL_OVER_OFI")

_SECRET = ("*TOKEN*", "*SECRET*", "*PASSWORD*", "*PASSWD*", "*CREDENTIAL*", "*AUTH*", "*_KEY*")

#: Set by whoever started us under mpirun (a nested run must find its own), and Terraform's.
_NEVER = ("OMPI_COMM_WORLD_*", "HOROVOD_RANK", "HOROVOD_SIZE", "HOROVOD_LOCAL_*",
          "TF_CLI_*", "TF_VAR_*", "TF_LOG*", "TF_WORKSPACE", "TF_DATA_DIR")  # fmt: skip


def inherited(environ: Mapping[str, str], *, kubectl: bool = False) -> Dict[str, str]:
    """The part of *environ* that a run may see, sorted by name.

    Args:
        environ: the caller's environment.
        kubectl: the other nodes are reached by ``kubectl exec``.
    """
    wanted = _LOCAL + _RANKS + (_KUBECTL if kubectl else ())
    return {
        name: value
        for name, value in sorted(environ.items())
        if _any(name, wanted)
        and (name == "SSH_AUTH_SOCK" or not _any(name, _SECRET))
        and not _any(name, _NEVER)
    }


def exported(environment: Mapping[str, str]) -> List[str]:
    """The names that mpirun must send to the ranks (``-x``), sorted."""
    return sorted(name for name in environment if _any(name, _RANKS))


def for_hpu(environment: Mapping[str, str], repo: Path) -> Tuple[Dict[str, str], List[str]]:
    """What a rank on a Gaudi gets besides the inherited environment, and remarks on it.

    The image's own ``PYTHONPATH`` (``/usr/lib/habanalabs/:/root``) stays in front. The bf16 list is
    that of the checkout: the bridge converts the operations it names to bfloat16 and reads it
    when it is loaded, so it must be in the environment of every rank.
    """
    paths, remarks = _foreign_removed(environment.get("PYTHONPATH", ""), repo)
    added = {"PYTHONPATH": os.pathsep.join([*paths, str(repo), str(repo / BERT)])}
    bf16 = repo / BERT / "bf16_config" / "bert.json"
    if bf16.is_file():
        added["TF_BF16_CONVERSION"] = str(bf16)
    else:
        remarks.append(
            "this release brings no bf16_config/bert.json: TF_BF16_CONVERSION is not set"
        )
    return added, remarks


def for_scale_out(
    environment: Mapping[str, str], asked: Optional[str]
) -> Tuple[Dict[str, str], str]:
    """What ranks on several Gaudi nodes get besides, and a remark on it.

    Over the hosts' network cards ranks must reduce within a node first (upstream's README: then
    ``HOROVOD_HIERARCHICAL_ALLREDUCE=1`` "must be set"); over the Gaudis' own ports it is a detour.

    Args:
        environment: the inherited environment; a site that has set the variable keeps it.
        asked: ``host``, ``gaudi`` or None: host where Habana's collective library is set to it.
    """
    if _HIERARCHICAL in environment:
        return {}, f"scale-out: {_HIERARCHICAL} is set here already"
    over = next((name for name in _OVER_HOST if environment.get(name) == "1"), None)
    if asked == "host" or (asked is None and over is not None):
        return {_HIERARCHICAL: "1"}, f"scale-out over the hosts' network ({over or 'as asked'})"
    return {}, "scale-out over the Gaudis' own ports; if the nodes lack them: --scale-out host"


def for_cpu(
    environment: Mapping[str, str], repo: Path, *, threads: int
) -> Tuple[Dict[str, str], List[str]]:
    """What a rank on a CPU gets: the stand-in for Habana's package first, and its share of threads.

    Args:
        environment: the inherited environment.
        repo: the checkout.
        threads: processor threads for each rank.
    """
    paths, remarks = _foreign_removed(environment.get("PYTHONPATH", ""), repo)
    shim = shipped("launchers") / "cpu"
    added = {
        "PYTHONPATH": os.pathsep.join([str(shim), *paths, str(repo), str(repo / BERT)]),
        "OMP_NUM_THREADS": environment.get("OMP_NUM_THREADS", str(threads)),
        "TF_NUM_INTRAOP_THREADS": str(threads),
        "TF_NUM_INTEROP_THREADS": str(threads),
        "TF_CPP_MIN_LOG_LEVEL": environment.get("TF_CPP_MIN_LOG_LEVEL", "1"),
        # Ranks that wait for each other share the cores with those that compute: they must neither
        # spin nor ask a thousand times a second.
        "OMPI_MCA_mpi_yield_when_idle": environment.get("OMPI_MCA_mpi_yield_when_idle", "1"),
        "HOROVOD_CYCLE_TIME": environment.get("HOROVOD_CYCLE_TIME", "5"),
    }
    return added, remarks


def with_dllogger(environment: Dict[str, str]) -> None:
    """Add bertkit's replacement for dllogger, last, so that an installed one is taken first."""
    environment["PYTHONPATH"] += os.pathsep + str(shipped("launchers") / "dllogger")


def _foreign_removed(value: str, repo: Path) -> Tuple[List[str], List[str]]:
    """The entries of a ``PYTHONPATH`` without other checkouts of Model-References.

    Habana's pages tell users to put their checkout there; it would be imported instead of ours.
    """
    kept: List[str] = []
    remarks: List[str] = []
    for entry in filter(None, value.split(os.pathsep)):
        foreign = (Path(entry) / BERT).is_dir() and Path(entry).resolve() != repo.resolve()
        if foreign:
            remarks.append(f"PYTHONPATH: left out {entry}, another checkout of Model-References")
        else:
            kept.append(entry)
    return kept, remarks


def _any(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)

"""Known causes of failed runs: words of the programs themselves, what they mean, what to do."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Optional, Sequence


@dataclass(frozen=True)
class Hint:
    """A known cause.

    Attributes:
        pattern: finds it in the log's last lines.
        cause: what it means.
        next_step: what to do about it.
        repeats: the same would happen again at once: no reason to start again by itself.
    """

    pattern: str
    cause: str
    next_step: str
    repeats: bool = False


OUT_OF_MEMORY = Hint(
    r"",
    "the host's memory, or the container's limit, is used up",
    "ask for more memory in the pod, or take fewer --cards",
)

DISK_FULL = Hint(
    r"No space left on device|Disk quota exceeded|File too large",
    "the disk is full, or a limit on files is reached",
    "free some space, then go on with --resume",
    repeats=True,
)

# [hvd] what ranks say when another one is gone
ANOTHER_IS_GONE = Hint(
    r"HorovodInternalError|Horovod has been shut down|UnknownError: .*Horovod",
    "another rank is gone",
    "look for a rank that was killed: its log ends without a word",
)

# The more exact ones first. Where each is from:
#   [habana]  issues of optimum-habana (1611), tgi-gaudi (93) and vllm-fork (344), with real logs
#   [tf]      TensorFlow's source: errors_impl, nan hook, record reader, absl.flags
#   [hvd]     Horovod's stall inspector and its elastic error
#   [mpi]     Open MPI's and PRRTE's help texts (help-*.txt)
#   [libc]    strerror and getaddrinfo
_HINTS = (
    # [tf] tf.estimator NanTensorHook and NanLossDuringTrainingError
    Hint(
        r"NaN loss during training|Model diverged with loss = NaN",
        "the loss is not a number any more: the training has diverged",
        "take a lower learning rate, and start from a checkpoint before it",
        repeats=True,
    ),
    # [tf] record_reader: "corrupted record at", "truncated record at"; status DATA_LOSS
    Hint(
        r"DataLossError|corrupted record at|truncated record at",
        "a file of records is damaged",
        "bertkit data verify --data DIR finds it",
        repeats=True,
    ),
    # [tf] checkpoint reader: NOT_FOUND with the prefix; "Key ... not found in checkpoint"
    Hint(
        r"Unsuccessful TensorSliceReader constructor|not found in checkpoint|"
        r"Failed to find any matching files for",
        "there is no such checkpoint, or it is another model's",
        "name another: --init-checkpoint PREFIX",
        repeats=True,
    ),
    # [tf] absl.flags' errors
    Hint(
        r"Unknown command line flag|FATAL Flags parsing error|IllegalFlagValueError",
        "upstream's script does not know a flag, or its value",
        "correct what stands behind --",
        repeats=True,
    ),
    # [libc] ENOSPC, EDQUOT, EFBIG; TensorFlow's ResourceExhaustedError carries the first
    DISK_FULL,
    # [habana] "synStatus=20 [Device already acquired] Device acquire failed", also synStatus=26
    # [Generic failure]; [libc] EBUSY
    Hint(
        r"Device acquire failed|Device already acquired|Device or resource busy",
        "the card is held by another process, or is not free yet",
        "hl-smi shows who holds it; end that process, or wait",
    ),
    # [habana] load_habana_module of habana-tensorflow 1.13.0 without a driver, as it ran here
    Hint(
        r"Unable to read habanalabs driver file|probably driver missing in the system",
        "the card's driver does not answer",
        "bertkit doctor --device hpu says what is here; a pod needs habana.ai/gaudi",
        repeats=True,
    ),
    # No message of Habana's is known to us: any line on huge pages that speaks of a failure.
    Hint(
        r"(?i)huge ?pages?\b.*\b(fail|not|insufficient|unable)|"
        r"\b(fail\w*|insufficient|unable|no)\b.*huge ?pages?\b",
        "there are too few huge pages",
        "raise hugepages-2Mi in the pod's limits, or vm.nr_hugepages on the host",
        repeats=True,
    ),
    # [tf] ResourceExhaustedError of an allocator; std::bad_alloc of libstdc++; Python's
    # MemoryError; [libc] ENOMEM
    Hint(
        r"std::bad_alloc|\bMemoryError\b|Cannot allocate memory|OOM when allocating|"
        r"failed to allocate memory",
        OUT_OF_MEMORY.cause,
        OUT_OF_MEMORY.next_step,
    ),
    # [libc] gai_strerror; ssh's words for it
    Hint(
        r"Temporary failure in name resolution|Name or service not known|"
        r"[Cc]ould not resolve host",
        "a host's name cannot be resolved",
        "check the names in the hostfile, and the cluster's DNS",
    ),
    # [mpi] help-ras-base.txt / help-rmaps-base.txt
    Hint(
        r"There are not enough slots available|not enough slots",
        "mpirun has fewer slots than ranks were asked for",
        "give the hosts more slots, or take fewer --cards or --nodes",
        repeats=True,
    ),
    # [mpi] help-errmgr-base.txt, help-plm-base.txt; ssh's own
    Hint(
        r"daemon.*(failed to|unexpectedly|unable)|unable to (launch|start) .*daemon|"
        r"lost communication with|Connection refused|No route to host|"
        r"Permission denied \(publickey|Host key verification failed|Connection timed out",
        "a host cannot be reached, or its daemon ended",
        "try the host by hand",
    ),
    # [hvd] stall_inspector.cc: "One or more tensors were submitted to be reduced, gathered or
    # broadcasted by subset of ranks", "Stalled ranks:", "missing ranks"
    Hint(
        r"Stalled ranks:|[Mm]issing ranks|"
        r"submitted to be reduced, gathered or broadcasted by subset",
        "some ranks wait for others that do not come",
        "read the logs of the ranks that are missing there",
    ),
    ANOTHER_IS_GONE,
)


def hint_for(lines: Sequence[str]) -> Optional[Hint]:
    """The known cause that *lines* speak of; None if there is none."""
    text = "\n".join(lines)
    for hint in _HINTS:
        if re.search(hint.pattern, text):
            return hint
    return None

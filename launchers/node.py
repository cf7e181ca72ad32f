"""What a node has and is: one question as JSON, one line of facts as JSON.

    python node.py '{"repo": "/Model-References", "modules": ["tensorflow"]}'
    ssh NODE python3 - "'{...}'" < node.py

The question stands in the first argument, or on stdin where there is none; every key of it may be
left out. The answer is the last line of stdout, begins with ``{"bertkit_node":`` and always comes,
with exit code 0: what cannot be found out is null, and ``unknown`` says why. Only the standard
library is used: the ranks' Python runs this on any node, and bertkit need not be there.

The question's keys: ``directory`` (where the ranks start), ``repo`` (the checkout), ``files``
(paths in it whose content counts, besides the patched ones), ``modules`` (names to look for),
``packages`` (names whose versions are wanted), ``needs`` (name -> path), ``checkpoint`` (prefix),
``output`` (directory), ``probe`` (see :func:`probe`), ``open_devices`` (see :func:`devices`).
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import socket
import stat
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Set, Tuple

SCHEMA = 1
HABANA_VENDOR = "0x1da3"
#: PCI ids of Gaudi (not of Gaudi 2 and later, which reset themselves when they are closed)
FIRST_GAUDI = ("0x1000", "0x1001", "0x1010", "0x1011")
MOST_BYTES = 16 << 20  # of a file that is read whole
#: bytes of data that is read for a hash of its contents
HASHED = 16 << 20

Question = Dict[str, Any]


def main(arguments: List[str]) -> None:
    """Answer the question in the arguments or on stdin."""
    facts: Dict[str, Any] = {"bertkit_node": SCHEMA}
    unknown: Dict[str, str] = {}
    question: Question = {}
    try:
        question = json.loads(arguments[0] if arguments else sys.stdin.read() or "{}")
        if not isinstance(question, dict):
            raise ValueError("the question is not a JSON object")
        # Modules are looked for as from the ranks' script, not as from this file.
        sys.path[0] = str(question.get("directory") or sys.path[0])
    except Exception as error:
        question = {}
        unknown["question"] = words(error)
    for name, find_out in SECTIONS.items():
        try:
            facts[name] = find_out(question)
        except Exception as error:
            facts[name] = None
            unknown[name] = words(error)
    facts["unknown"] = unknown
    print(json.dumps(facts), flush=True)


def words(error: Exception) -> str:
    """An error in few words."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return f"{type(error).__name__}: {error}"[:300]


def root() -> Path:
    """What stands for ``/`` when ``sys``, ``dev`` and ``proc`` are read."""
    return Path(os.environ.get("BERTKIT_SYSTEM_ROOT", "/"))


def text(path: Path) -> Optional[str]:
    """A small file's content without the space around it; None where it cannot be read."""
    try:
        with path.open("rb") as stream:
            return stream.read(1 << 16).decode("utf-8", "replace").strip()
    except OSError:
        return None


def number(path: Path) -> Optional[int]:
    """The number in a file; None where there is none (such as ``max``)."""
    try:
        return int(text(path) or "")
    except ValueError:
        return None


# Python


def packages(question: Question) -> Dict[str, Optional[str]]:
    """Versions by pip's metadata; None: not installed."""
    from importlib import metadata

    found: Dict[str, Optional[str]] = {}
    for name in question.get("packages", ()):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


def missing(question: Question) -> List[str]:
    """Which of the modules cannot be found; none is imported."""
    from importlib.util import find_spec

    lacking = []
    for name in question.get("modules", ()):
        try:
            there = find_spec(name) is not None
        except (ImportError, ValueError):
            there = False
        if not there:
            lacking.append(name)
    return lacking


def horovod_built_for(_question: Question) -> Optional[str]:
    """The TensorFlow that an installed Horovod was built with, by its own metadata."""
    from importlib.util import find_spec

    spec = find_spec("horovod")
    if spec is None or spec.origin is None:
        return None
    built = json.loads(text(Path(spec.origin).with_name("metadata.json")) or "{}")
    return built.get("tensorflow") if isinstance(built.get("tensorflow"), str) else None


# Devices


def devices(question: Question) -> List[Dict[str, Any]]:
    """The Gaudis whose nodes are in ``/dev``, in the order of their numbers.

    With ``open_devices`` each Gaudi of the first generation is opened and closed again: the driver
    refuses that while another process has it, also one in another container, which ``/proc`` does
    not show.
    """
    found: List[Dict[str, Any]] = []
    holders: Dict[str, List[Dict[str, Any]]] = {}
    for path, card in device_nodes():
        holders[str(path)] = []
        pci = text(card / "pci_addr")
        numa = None if pci is None else number(root() / "sys/bus/pci/devices" / pci / "numa_node")
        first = text(card / "device") in FIRST_GAUDI
        found.append(
            {
                "name": path.name,
                "status": text(card / "status"),
                "pci": pci,
                "numa": None if numa is None or numa < 0 else numa,
                "module": number(card / "module_id"),
                "driver": text(card / "driver_ver"),
                "refused": refused(path) if question.get("open_devices") and first else None,
                "holders": holders[str(path)],
            }
        )
    if holders:
        note_holders(holders)
    return found


def device_nodes() -> List[Tuple[Path, Path]]:
    """Each device node with its directory in sysfs; 1.11 and newer, else older ones."""
    for directory, prefix, place in (
        ("dev/accel", "accel", "sys/class/accel/{}/device"),
        ("dev", "hl", "sys/class/habanalabs/{}"),
    ):
        numbered = []
        for name in listed(root() / directory):
            match = re.fullmatch(prefix + r"(\d+)", name)
            if match:
                numbered.append((int(match.group(1)), name))
        nodes = []
        for _, name in sorted(numbered):
            card = root() / place.format(name)
            if (card / "device/driver_ver").exists():  # older drivers: hlN/device/...
                card = card / "device"
            if (text(card / "vendor") or HABANA_VENDOR) == HABANA_VENDOR:
                nodes.append((root() / directory / name, card))
        if nodes:
            return nodes
    return []


def listed(directory: Path) -> List[str]:
    """The names in a directory; none where it cannot be read."""
    try:
        return os.listdir(directory)
    except OSError:
        return []


def refused(path: Path) -> Optional[str]:
    """Why the device does not open; None if it does."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK))
    except OSError as error:
        return "busy" if error.errno == errno.EBUSY else error.strerror
    return None


def note_holders(by_path: Dict[str, List[Dict[str, Any]]]) -> None:
    """Add the processes that have each device open, as far as ``/proc`` shows them."""
    proc = root() / "proc"
    for pid in filter(str.isdigit, listed(proc)):
        with contextlib.suppress(OSError):  # another user's, or gone by now
            targets = {os.readlink(link) for link in (proc / pid / "fd").iterdir()}
            for target in targets & by_path.keys():
                line = (text(proc / pid / "cmdline") or text(proc / pid / "comm") or "?").strip()
                command = " ".join(line.strip("\0").split("\0"))[:200]
                by_path[target].append({"pid": int(pid), "command": command})


def driver(_question: Question) -> Optional[str]:
    """The release of the kernel's driver, by the first card in sysfs that says one."""
    for place, name in (("sys/class/accel", "accel"), ("sys/class/habanalabs", "hl")):
        for card in sorted(listed(root() / place)):
            for file in ("device/driver_ver", "driver_ver"):
                vendor = text(root() / place / card / "device/vendor") or HABANA_VENDOR
                said = text(root() / place / card / file)
                if card.startswith(name) and said and vendor == HABANA_VENDOR:
                    return said
    return None


# Memory and processors


def hugepages(_question: Question) -> Dict[str, Optional[int]]:
    """2 MiB pages of the machine, and the bytes of them that the cgroup grants (None: no limit)."""
    pages = root() / "sys/kernel/mm/hugepages/hugepages-2048kB"
    cgroup = root() / "sys/fs/cgroup"
    total, free = number(pages / "nr_hugepages"), number(pages / "free_hugepages")
    if total is None:
        said = meminfo()
        if said.get("Hugepagesize") != 2 << 20:
            raise LookupError("the kernel has no pages of 2 MiB")
        total, free = said.get("HugePages_Total"), said.get("HugePages_Free")
    limit = number(cgroup / "hugetlb.2MB.max")
    if limit is None:
        limit = number(cgroup / "hugetlb/hugetlb.2MB.limit_in_bytes")
    used = number(cgroup / "hugetlb.2MB.current")
    if used is None:
        used = number(cgroup / "hugetlb/hugetlb.2MB.usage_in_bytes")
    unlimited = limit is not None and limit >= 1 << 62
    return {"total": total, "free": free, "used": used, "limit": None if unlimited else limit}


def memory(_question: Question) -> Dict[str, Optional[int]]:
    """Bytes of memory: the machine's, those that are free for use, and the cgroup's limit."""
    said = meminfo()
    limit = number(root() / "sys/fs/cgroup/memory.max")
    if limit is None:
        limit = number(root() / "sys/fs/cgroup/memory/memory.limit_in_bytes")
    total = said.get("MemTotal")
    if limit is not None and total is not None and limit >= total:
        limit = None
    return {"total": total, "available": said.get("MemAvailable"), "limit": limit}


def meminfo() -> Dict[str, int]:
    """``/proc/meminfo`` in bytes (counts of pages as they are)."""
    found = {}
    for line in (text(root() / "proc/meminfo") or "").splitlines():
        match = re.fullmatch(r"(\w+(?:\(\w+\))?):\s+(\d+)( kB)?", line)
        if match:
            found[match.group(1)] = int(match.group(2)) * (1024 if match.group(3) else 1)
    return found


def cores(_question: Question) -> Dict[str, Any]:
    """Physical cores and sockets that this process may use, and the cgroup's quota of them."""
    allowed = re.search(
        r"^Cpus_allowed_list:\s*([\d,-]+)$", text(root() / "proc/self/status") or "", re.M
    )
    threads: Set[int] = set() if allowed else set(os.sched_getaffinity(0))
    for part in allowed.group(1).split(",") if allowed else ():
        first, _, last = part.partition("-")
        threads.update(range(int(first), int(last or first) + 1))
    places = set()
    for thread in threads:
        topology = root() / f"sys/devices/system/cpu/cpu{thread}/topology"
        place = number(topology / "physical_package_id"), number(topology / "core_id")
        if None not in place:
            places.add(place)
    return {
        "threads": len(threads),
        "quota": quota(),
        "physical": len(places) or None,
        "sockets": len({package for package, _ in places}) or None,
    }


def quota() -> Optional[float]:
    """Processors that the cgroup grants (v2, then v1); None without a limit."""
    cgroup = root() / "sys/fs/cgroup"
    match = re.fullmatch(r"(\d+) (\d+)", text(cgroup / "cpu.max") or "")
    if match:
        return int(match.group(1)) / int(match.group(2))
    limit = number(cgroup / "cpu/cpu.cfs_quota_us")
    period = number(cgroup / "cpu/cpu.cfs_period_us")
    return limit / period if limit and period and limit > 0 else None


# Files


def checkout(question: Question) -> Optional[Dict[str, Any]]:
    """The lock of the checkout, and the git blob ids of its patched files and of ``files``."""
    if not question.get("repo"):
        return None
    tree = Path(question["repo"])
    raw = (tree / ".bertkit/lock.json").read_bytes()
    lock = json.loads(raw)
    wanted = {file["path"] for patch in lock["patches"] for file in patch["files"]}
    wanted.update(question.get("files", ()))
    return {
        "lock": hashlib.sha256(raw).hexdigest(),
        "release": lock["release"],
        "commit": lock["commit"],
        "files": {name: blob_id(tree / name) for name in sorted(wanted)},
    }


def blob_id(path: Path) -> Optional[str]:
    """git's name for the content of a plain file; None where it is none."""
    try:
        about = path.lstat()
        if not stat.S_ISREG(about.st_mode) or about.st_size > MOST_BYTES:
            return None
        content = path.read_bytes()
    except OSError:
        return None
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def needs(question: Question) -> Dict[str, Dict[str, Any]]:
    """Each path that the job needs: what it is, how many files, bytes, and a hash over both."""
    return {name: need(Path(path)) for name, path in question.get("needs", {}).items()}


def need(path: Path) -> Dict[str, Any]:
    """One path; the hashes are those that run.json has: of names and sizes, and of little data."""
    found: Dict[str, Any] = dict.fromkeys(("kind", "files", "bytes", "sha256", "contents", "why"))
    found["path"] = str(path)
    try:
        kind = path.stat().st_mode
        found["kind"] = "directory" if stat.S_ISDIR(kind) else "file"
        files = sorted(plain_files(path)) if stat.S_ISDIR(kind) else [path]
        sizes = [file.stat().st_size for file in files]
        digest, contents = hashlib.sha256(), hashlib.sha256()
        small = sum(sizes) <= HASHED
        for file, size in zip(files, sizes):
            digest.update(f"{file.name}\0{size}\n".encode("utf-8", "surrogateescape"))
            if small:
                contents.update(file.read_bytes())
        found["contents"] = contents.hexdigest() if small else None
        if not os.access(path, os.R_OK):
            found["why"] = "not readable"
        found.update(files=len(files), bytes=sum(sizes), sha256=digest.hexdigest())
    except OSError as error:
        found["why"] = "not there" if error.errno == errno.ENOENT else error.strerror
    return found


def plain_files(directory: Path) -> Iterator[Path]:
    """All files below *directory*; links to files count, links to directories are not followed."""
    for place, _, names in os.walk(directory):
        for name in names:
            file = Path(place, name)
            if file.is_file():
                yield file


def checkpoint(question: Question) -> Optional[Dict[str, int]]:
    """The parts of the checkpoint to start from, with their sizes in bytes."""
    if not question.get("checkpoint"):
        return None
    prefix = Path(question["checkpoint"])
    return {
        name: (prefix.parent / name).stat().st_size
        for name in sorted(os.listdir(prefix.parent))
        if name.startswith(prefix.name + ".")
    }


def output(question: Question) -> Optional[Dict[str, Any]]:
    """Whether the output directory can be written to, the room on its file system, and whether it
    holds a run's checkpoints.
    """
    if not question.get("output"):
        return None
    asked = Path(question["output"])
    there = existing(asked)
    room = os.statvfs(there)
    return {
        "existing": str(there),
        "writable": there.is_dir() and os.access(there, os.W_OK | os.X_OK),
        "free_bytes": room.f_bavail * room.f_frsize,
        "free_files": room.f_favail if room.f_files else None,
        "holds": any(any(asked.glob(f"{where}model.ckpt-*.index")) for where in ("", "worker_*/")),
    }


def existing(path: Path) -> Path:
    """*path*, or the nearest directory above it that is there."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def probe(question: Question) -> Optional[Dict[str, Any]]:
    """A small file by which the launcher sees whether nodes share a directory.

    ``{"action": "write", "nonce": HEX}`` writes it into the output directory, or the nearest one
    above that is there, and says which: ``directory``. ``{"action": "read", "nonce": HEX,
    "directory": DIR}`` says on another node whether it is ``found``; ``remove`` takes it away.
    """
    asked = question.get("probe")
    if not asked:
        return None
    if not re.fullmatch(r"[0-9a-f]{16,64}", asked["nonce"]):
        raise ValueError("a nonce is 16 to 64 hex digits")
    if asked["action"] not in ("write", "read", "remove"):
        raise ValueError("the action is none of write, read and remove")
    directory = Path(asked.get("directory") or existing(Path(question["output"])))
    file = directory / f".bertkit-probe-{asked['nonce']}"
    if asked["action"] == "write":
        with file.open("x", encoding="ascii") as stream:
            stream.write(asked["nonce"])
            stream.flush()
            os.fsync(stream.fileno())
    # Listed, not only looked up: NFS remembers for a while that a name was not there.
    found = file.name in listed(directory) and text(file) == asked["nonce"]
    if asked["action"] == "remove":
        with contextlib.suppress(FileNotFoundError):
            file.unlink()
    return {"directory": str(directory), "found": found}


SECTIONS: Dict[str, Callable[[Question], Any]] = {
    "host": lambda question: socket.gethostname(),
    "time": lambda question: time.time(),
    "python": lambda question: sys.version.split()[0],
    "executable": lambda question: sys.executable,
    "packages": packages,
    "missing": missing,
    "horovod_built_for": horovod_built_for,
    "driver": driver,
    "devices": devices,
    "hugepages": hugepages,
    "memory": memory,
    "cores": cores,
    "checkout": checkout,
    "needs": needs,
    "checkpoint": checkpoint,
    "output": output,
    "probe": probe,
}


if __name__ == "__main__":
    main(sys.argv[1:])

"""The same run again: what a record asks for, and what is different today.

A record is a file that anyone may have written. Only its options are followed, through the same
checks as those of a command line; its command is compared with the one that follows from them
today, never run.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Type

from bertkit.errors import BertkitError, DataDamaged, EnvironmentUnfit, PatchMisfit, UsageProblem
from bertkit.launch.plan import RUN_DIRECTORY, Plan
from bertkit.launch.running import record
from bertkit.resources import shipped
from bertkit.upstream.lock import Lock

_MOST_BYTES = 16 << 20
_VERSIONS = ("python", "tensorflow", "horovod", "habana")


@dataclass(frozen=True)
class Recorded:
    """What is taken from a record.

    Attributes:
        file: the record.
        options: those of ``bertkit train``, as they were given.
        job: the job's name.
        output: the directory that the run wrote to, as the record says.
        value: all of it; compared only.
    """

    file: Path
    options: Mapping[str, Any]
    job: str
    output: str
    value: Mapping[str, Any]

    @property
    def starts_from(self) -> Optional[str]:
        """The checkpoint that the run started from."""
        start = self.value["plan"].get("starts_from")
        return start if isinstance(start, str) else None

    def free_output(self) -> Path:
        """``OUTPUT-rerun-N`` beside where the record lies: not where it says that it lies."""
        home = self.file.parent
        base = home.parent if home.name == RUN_DIRECTORY else home / self.job
        number = 1
        while (base.parent / f"{base.name}-rerun-{number}").exists():
            number += 1
        return base.parent / f"{base.name}-rerun-{number}"


@dataclass(frozen=True)
class Difference:
    """One thing that is not what it was: ``kind`` is ``tree``, ``data`` or ``environment``."""

    kind: str
    what: str
    was: str
    now: str

    def __str__(self) -> str:
        return f"{self.what}: was {self.was}, is {self.now}"


def load(path: Path) -> Recorded:
    """Read a record, given as the file or as the output directory that has it.

    Raises:
        UsageProblem: there is none, it is none, or it has no options to start from.
    """
    file = path / RUN_DIRECTORY / "run.json" if path.is_dir() else path
    try:
        if file.stat().st_size > _MOST_BYTES:
            raise ValueError(f"more than {_MOST_BYTES >> 20} MiB")
        value = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(value, dict):
            raise ValueError("it is no JSON object")
        plan = value.get("plan")
        if not isinstance(plan, dict) or not isinstance(plan.get("job"), str):
            raise ValueError("it has no plan")
        if not re.fullmatch(r"\w{1,40}", plan["job"]) or not isinstance(plan.get("output"), str):
            raise ValueError("its plan has no job or no output")
        options = value.get("options")
        if options is not None and not isinstance(options, dict):
            raise ValueError("its options are no JSON object")
    except (OSError, ValueError, RecursionError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageProblem(
            "no record of a run", where=file, why=why, next_step="bertkit rerun OUTPUT_DIRECTORY"
        ) from None
    if options is None:
        raise UsageProblem(
            "this record does not say which options the run was started with",
            where=file,
            why=f"schema {value.get('schema')!r}, which kept none",
            next_step=f"read its plan, and start it by hand: bertkit train ... ({plan['job']})",
        )
    return Recorded(file, options, plan["job"], plan["output"], value)


def untrusted(repo: Path) -> Optional[str]:
    """Why the checkout *repo* that a record names should not be run; None if nothing is wrong.

    Its scripts will run as this user: they must be this user's, or the administrator's.
    """
    for path in (repo, repo / ".bertkit" / "lock.json"):
        try:
            found = path.stat()
        except OSError:
            continue  # told better by what looks for it
        if found.st_uid not in (os.geteuid(), 0):
            return f"{path} belongs to another user ({found.st_uid})"
        if found.st_mode & 0o002:
            return f"{path} can be written by everybody"
    return None


def differences(
    recorded: Recorded, plan: Plan, lock: Optional[Lock], versions: Mapping[str, Optional[str]]
) -> List[Difference]:
    """What is different today.

    Args:
        recorded: the run as it was.
        plan: the run as it would be; its output directory may be another.
        lock: what the checkout is today.
        versions: see :func:`versions_of`.
    """
    was = _moved(recorded.value, recorded.output, plan.output)
    then, now = was["plan"], json.loads(json.dumps(plan.as_dict()))
    found = _tree(was.get("lock"), None if lock is None else json.loads(json.dumps(asdict(lock))))
    found += _data(was, plan)
    for name in ("model", "device", "ranks", "hosts", "numbers", "working_directory"):
        found += _one("environment", name.replace("_", " "), then.get(name), now[name])
    found += _words("command", then.get("argv"), now["argv"])
    found += _environment(then, now)
    ran_on = was.get("versions")
    for name in _VERSIONS if isinstance(ran_on, dict) else ():
        found += _one("environment", name, ran_on.get(name), versions.get(name))
    return found


def problems(found: Sequence[Difference]) -> List[BertkitError]:
    """*found* as what stands in the way of the same run: one error a kind."""
    kinds: Dict[str, Type[BertkitError]] = {
        "tree": PatchMisfit, "data": DataDamaged, "environment": EnvironmentUnfit,
    }  # fmt: skip
    return [
        error(
            f"the {kind} is not what it was",
            why="; ".join(str(each) for each in found if each.kind == kind),
            next_step="put it back, or run with what is different: --accept-changes",
        )
        for kind, error in kinds.items()
        if any(each.kind == kind for each in found)
    ]


def versions_of(plan: Plan, python: Path) -> Dict[str, Optional[str]]:
    """The versions that the ranks' Python has today, as a rank would note them."""
    command = [str(python), str(shipped("launchers") / "rank.py"), "--versions"]
    try:
        done = subprocess.run(
            command, env=dict(plan.environment), capture_output=True, text=True, timeout=60,
            check=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        answer = json.loads(done.stdout)
        return {name: answer.get(name) for name in _VERSIONS}
    except (OSError, subprocess.SubprocessError, ValueError, AttributeError):
        return {}  # what is wrong with that Python is told by who asks it about modules


def _moved(value: Any, old: str, new: str) -> Any:
    """*value* with the output directory *old* called *new* in all its texts."""
    if isinstance(value, str):
        return re.sub(re.escape(old) + r"(?=/|$)", lambda _match: new, value)
    if isinstance(value, list):
        return [_moved(each, old, new) for each in value]
    if isinstance(value, dict):
        return {key: _moved(each, old, new) for key, each in value.items()}
    return value


def _tree(was: object, now: Optional[Dict[str, Any]]) -> List[Difference]:
    was, now = was if isinstance(was, dict) else {}, now or {}
    found = []
    for name in ("release", "commit"):
        found += _one("tree", name, was.get(name), now.get(name))
    return found + _one("tree", "patches", _patches(was), _patches(now))


def _patches(lock: Mapping[str, Any]) -> Optional[List[str]]:
    try:
        return [f"{each['id']}@{','.join(each['diffs'])[:12]}" for each in lock["patches"]]
    except (KeyError, TypeError):
        return None


def _data(was: Mapping[str, Any], plan: Plan) -> List[Difference]:
    before = was.get("data")
    prints = {name: record.fingerprint(Path(path)) for name, path in plan.needs.items()}
    found = []
    for name, now in prints.items():
        then = before.get(name) if isinstance(before, dict) else None
        found += _one("data", name.replace("_", " "), _print(then), _print(now))
    if plan.starts_from is not None:
        now = record.of_checkpoint(plan.starts_from)
        found += _one("data", "checkpoint", _print(was.get("checkpoint")), _print(now))
    return found


def _print(fingerprint: object) -> Optional[str]:
    """A fingerprint for people; paths are compared elsewhere."""
    if not isinstance(fingerprint, dict):
        return None
    files, size = fingerprint.get("files"), fingerprint.get("bytes")
    digest = fingerprint.get("contents") or fingerprint.get("sha256")
    return f"{files} files, {size} bytes, {str(digest)[:12]}"


def _environment(then: Mapping[str, Any], now: Mapping[str, Any]) -> List[Difference]:
    """What the ranks see, and Open MPI's settings; PATH or TERM change from shell to shell."""
    was, today = then.get("environment"), now["environment"]
    if not isinstance(was, dict):
        return [Difference("environment", "environment", "not recorded", "as planned")]
    exports = then.get("exports")
    names = {*(exports if isinstance(exports, list) else ()), *now["exports"]}
    names |= {name for name in {*was, *today} if "_MCA_" in name}
    found = []
    for name in sorted(map(str, names)):
        found += _one("environment", name, was.get(name), today.get(name))
    return found


def _words(what: str, was: object, now: Sequence[str]) -> List[Difference]:
    before = [str(word) for word in was] if isinstance(was, list) else []
    if before == list(now):
        return []
    gone = [word for word in before if word not in now]
    new = [word for word in now if word not in before]
    order = "in another order"
    return [Difference("environment", what, _short(gone or order), _short(new or order))]


def _one(kind: str, what: str, was: object, now: object) -> List[Difference]:
    return [] if was == now else [Difference(kind, what, _short(was), _short(now))]


def _short(value: object) -> str:
    if value is None:
        return "not there"
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 200 else text[:197] + "..."

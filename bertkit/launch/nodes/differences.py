"""How another node's facts differ from this one's, where they must be the same."""

from __future__ import annotations

from typing import List, Optional

from bertkit.errors import BertkitError, DataDamaged, EnvironmentUnfit, PatchMisfit
from bertkit.launch.nodes.facts import Facts
from bertkit.launch.nodes.modules import minor

#: more seconds than this between two nodes' clocks confuse "which rank failed first"
_MOST_SECONDS_APART = 2.0
_MOST_NAMED = 4


def differences(mine: Facts, theirs: Facts) -> List[BertkitError]:
    """In what another node is not as this one, where it must be: one error a matter."""
    where = theirs.host
    found: List[BertkitError] = [
        *_checkout_differences(mine, theirs),
        *_need_differences(mine, theirs),
    ]
    for what, ours, other in (
        ("TensorFlow", mine.tensorflow, theirs.tensorflow),
        ("Horovod", mine.version("horovod", "habana-horovod"),
         theirs.version("horovod", "habana-horovod")),
        ("habana-tensorflow", mine.version("habana-tensorflow"),
         theirs.version("habana-tensorflow")),
        ("the driver", mine.driver, theirs.driver),
        ("Python", _python(mine), _python(theirs)),
    ):  # fmt: skip
        if ours != other:
            found.append(
                EnvironmentUnfit(
                    f"{what} differs between the nodes",
                    where=where,
                    why=f"{other or 'none'} there, {ours or 'none'} on {mine.host}",
                    next_step="start all nodes from one image",
                )
            )
    lacking = sorted(set(theirs.missing or ()) - set(mine.missing or ()))
    if lacking:
        found.append(
            EnvironmentUnfit(
                f"Python modules are missing: {', '.join(lacking)}",
                where=where,
                why=f"{mine.host} has them",
                next_step="start all nodes from one image, or install them there too",
            )
        )
    if mine.checkpoint is not None and theirs.checkpoint != mine.checkpoint:
        found.append(
            DataDamaged(
                "the checkpoint to start from is not the same",
                where=where,
                why=_part_that_differs(mine, theirs),
                next_step="put it on storage that all nodes see, or copy it whole",
            )
        )
    return found


def clock_remark(mine: Facts, theirs: Facts) -> Optional[str]:
    """What to say where two nodes' clocks are apart, both asked within moments; else None."""
    if mine.time is None or theirs.time is None:
        return None
    apart = theirs.time - mine.time
    if abs(apart) <= _MOST_SECONDS_APART:
        return None
    ahead = "ahead of" if apart > 0 else "behind"
    return f"the clock of {theirs.host} is {abs(apart):.0f} s {ahead} that of {mine.host}"


def _checkout_differences(mine: Facts, theirs: Facts) -> List[BertkitError]:
    ours, other = mine.checkout, theirs.checkout
    if ours is None:
        return []
    what, why = None, None
    if other is None:
        what, why = "there is no prepared checkout", theirs.unknown.get("checkout")
    elif (other.release, other.commit) != (ours.release, ours.commit):
        what = "the checkout is of another release"
        why = (
            f"{other.release} ({other.commit[:12]}) there, "
            f"{ours.release} ({ours.commit[:12]}) on {mine.host}"
        )
    else:
        changed = [name for name, blob in ours.files.items() if other.files.get(name) != blob]
        if changed:
            what = "files of the checkout differ"
            why = "; ".join(
                f"{name}: {(other.files.get(name) or 'missing')[:12]} there, "
                f"{(ours.files[name] or 'missing')[:12]} on {mine.host}"
                for name in changed[:_MOST_NAMED]
            )
            if len(changed) > _MOST_NAMED:
                why += f"; and {len(changed) - _MOST_NAMED} more"
    if what is None:
        return []
    return [
        PatchMisfit(
            what,
            where=theirs.host,
            why=why,
            next_step="bertkit prepare-repo on that node, or one checkout on shared storage",
        )
    ]


def _need_differences(mine: Facts, theirs: Facts) -> List[BertkitError]:
    found: List[BertkitError] = []
    for name, ours in (mine.needs or {}).items():
        other = (theirs.needs or {}).get(name)
        same = other is not None and (other.sha256, other.contents) == (ours.sha256, ours.contents)
        if other is not None and other.why is None and same:
            continue
        if other is None:
            why = theirs.unknown.get("needs", "it was not looked at")
        elif other.why is not None or other.files is None:
            why = other.why or "it cannot be read"
        elif other.files != ours.files or other.bytes != ours.bytes:
            why = (
                f"{other.files} files with {other.bytes} bytes there, "
                f"{ours.files} with {ours.bytes} on {mine.host}"
            )
        else:
            why = f"as many files and bytes as on {mine.host}, but other names, sizes or contents"
        found.append(
            DataDamaged(
                f"{name.replace('_', ' ')}: not the same on all nodes",
                where=f"{theirs.host}: {ours.path}",
                why=why,
                next_step="put the data on storage that all nodes see, or copy it whole",
            )
        )
    return found


def _part_that_differs(mine: Facts, theirs: Facts) -> str:
    other = theirs.checkpoint or {}
    for name, size in (mine.checkpoint or {}).items():
        if other.get(name) != size:
            has = f"{other[name]} bytes" if name in other else "missing"
            return f"{name}: {has} there, {size} bytes on {mine.host}"
    return "there are further parts there"


def _python(facts: Facts) -> Optional[str]:
    return None if facts.python is None else minor(facts.python)

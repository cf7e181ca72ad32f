"""Follows a file's contents through the series, by blob ids alone.

Each diff leads from one blob to another, so the contents of a file form chains: upstream's blob,
that with the first patch, that with the second, and so on in the order of the series. Going back
from a blob tells which patches it carries; going forward tells which diffs come next. A choice of
patches (``--only``) needs diffs pinned for just that chain; without them it is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import AbstractSet, List, Optional, Tuple

from bertkit.patching.model import Image, Patch, Series, Target

APPLICABLE = "applicable"
APPLIED = "applied"
DRIFTED = "drifted"
UPSTREAMED = "upstreamed"
MISSING_TARGET = "missing-target"
UNSUPPORTED_RELEASE = "unsupported-release"


@dataclass(frozen=True)
class Step:
    """One diff on one file: the patch, its target, and which of its images."""

    patch: Patch
    target: Target
    image: Image


@dataclass(frozen=True)
class Outcome:
    """What one patch has to do with one file.

    Attributes:
        patch: the patch.
        target: the file.
        state: one of this module's constants.
        step: the diff that applies, or has been applied.
        note: more words where the state alone does not say what to do.
    """

    patch: Patch
    target: Target
    state: str
    step: Optional[Step] = None
    note: str = ""


def history(series: Series, path: str, blob: str) -> Tuple[Step, ...]:
    """The diffs that lead from upstream's content to *blob*, oldest first; empty if none does."""
    steps: List[Step] = []
    current = blob
    for patch in reversed(series.patches):
        for target in patch.targets:
            if target.path != path:
                continue
            for image in target.images.values():
                if image.post == current:
                    steps.append(Step(patch, target, image))
                    current = image.pre
                    break
    return tuple(reversed(steps))


def walk(
    series: Series, release: str, path: str, blob: str, selected: AbstractSet[str]
) -> List[Outcome]:
    """What each of the *selected* patches has to do with a file whose content is *blob*.

    The outcomes are in the order of the series. The diffs of those that are applicable follow
    one another: the first starts at *blob*, each next one where the one before ends.
    """
    past = history(series, path, blob)
    applied = {step.patch.id: step for step in past}
    origin = past[0].image.pre if past else blob
    current = blob
    carried = set(applied)
    outcomes = []
    for patch, target in series.targets_at(path, release):
        if patch.id not in selected:
            continue
        if patch.id in applied:
            outcomes.append(Outcome(patch, target, APPLIED, applied[patch.id]))
        elif origin in target.upstreamed:
            outcomes.append(Outcome(patch, target, UPSTREAMED))
        elif current in target.images:
            step = Step(patch, target, target.images[current])
            outcomes.append(Outcome(patch, target, APPLICABLE, step))
            current = step.image.post
            carried.add(patch.id)
        else:
            note = _why_not(series, path, patch, target, origin, carried)
            outcomes.append(Outcome(patch, target, DRIFTED, note=note))
    return outcomes


def _why_not(
    series: Series, path: str, patch: Patch, target: Target, origin: str, carried: AbstractSet[str]
) -> str:
    """Words for a content that is known but on which *patch* is not pinned; else empty."""
    later = [name for name in carried if series.position(name) > series.position(patch.id)]
    if later:
        names = ", ".join(sorted(later, key=series.position))
        return f"{patch.id} comes before {names}, which this file carries: unapply {names} first"
    for pre in target.images:
        needed = history(series, path, pre)
        if needed and needed[0].image.pre == origin:
            missing = [step.patch.id for step in needed if step.patch.id not in carried]
            if missing:
                names = ", ".join(missing)
                return f"{patch.id} is made to follow {names} in this file: choose {names} as well"
    return ""

"""Why a pod finds no node, in words: the scheduler's one long line taken apart."""

from __future__ import annotations

import re
from typing import List

from bertkit.kube.pods import HPU

_PART = re.compile(r"(?:(\d+) )?(Insufficient (\S+)|[^,]+)")
_OF_HOW_MANY = re.compile(r"^(\d+)/(\d+) nodes are available")
_NEWER_TAIL = re.compile(r"\s*(no new claims to deallocate|preemption:).*", re.DOTALL)
_WITHIN_BRACES = re.compile(r"\{[^{}]*\}")


def unschedulable(message: str) -> List[str]:
    """The reasons in a scheduler's *message*, such as ``0/42 nodes are available: 42
    Insufficient habana.ai/gaudi.``; the message itself if it is of another kind.
    """
    head, separator, rest = message.strip().partition(": ")
    counted = _OF_HOW_MANY.match(head)
    if not separator or counted is None:
        return [f"no node takes it: {message.strip()}"] if message.strip() else []
    total = counted.group(2)
    rest = _NEWER_TAIL.sub("", rest)
    # Commas stand between reasons, but also within the braces of a taint.
    rest = _WITHIN_BRACES.sub(lambda found: found.group().replace(",", ";"), rest)
    found = []
    for part in rest.split(", "):
        match = _PART.fullmatch(part.strip().rstrip("."))
        if match is None:
            continue
        count, text, resource = match.groups()
        where = f"on {count} of {total} nodes" if count else f"of {total} nodes"
        found.append(f"{_lack(resource) if resource else _other(text)} ({where})")
    return found or [f"no node takes it: {message.strip()}"]


def _lack(resource: str) -> str:
    if resource == HPU:
        return "not enough HPUs are free"
    if resource.startswith("hugepages-"):
        return f"not enough huge pages are free ({resource})"
    return {
        "cpu": "not enough CPU cores are free",
        "memory": "not enough memory is free",
        "pods": "too many pods already",
    }.get(resource, f"not enough {resource} is free")


def _other(text: str) -> str:
    if "node selector" in text or "node affinity" in text or "affinity/selector" in text:
        return "the node selector of the manifest does not fit"
    if "untolerated taint" in text or "had taint" in text:
        braces = _WITHIN_BRACES.search(text)
        taint = f" {braces.group()}" if braces else ""
        return f"the nodes are set aside by a taint{taint}, which this pod does not tolerate"
    if "unschedulable" in text:
        return "the nodes are closed for new pods (cordoned)"
    if "persistentvolumeclaim" in text and "not found" in text:
        return f"a volume claim does not exist: {text}"
    if "PersistentVolumeClaims" in text:
        return "a volume claim has no volume yet"
    if "volume node affinity conflict" in text:
        return "the volume is tied to other nodes"
    return text

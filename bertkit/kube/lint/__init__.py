"""What is wrong with manifests: bertkit's own, and those that people wrote by hand."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, List, Optional, Sequence

from bertkit.errors import UsageProblem
from bertkit.kube.lint import image_rules, job_rules, pod_rules, script_rules, training_rules
from bertkit.kube.lint.findings import ERROR, WARNING, Finding
from bertkit.kube.lint.workloads import located, workloads
from bertkit.strict_yaml import MAX_BYTES, parse_documents, read_text

__all__ = ["ERROR", "WARNING", "Finding", "check", "check_file", "check_text"]


def check(
    documents: Sequence[Any], *, release: Optional[str] = None, source: Sequence[str] = ()
) -> List[Finding]:
    """All that is wrong with *documents*, in the order of their lines.

    Args:
        documents: plain objects, such as a manifest's ``objects``, or ``strict_yaml.Document``s.
        release: the SynapseAI release that the images should be of; default: what the manifest
            itself says, by bertkit's annotation or by the release that its script clones.
        source: the lines of the file that they were read from.
    """
    found: List[Finding] = []
    numbered = located(list(documents))
    for document in numbered:
        found += job_rules.document(document)
    for workload in workloads(numbered):
        found += job_rules.check(workload)
        found += image_rules.check(workload, release, source)
        for pod in workload.pods:
            found += pod_rules.check(workload, pod)
        found += script_rules.check(workload, source)
        found += training_rules.check(workload, source)
    return sorted(set(found), key=lambda f: (f.document, f.line or 0, f.path, f.rule, f.what))


def check_text(text: str, *, where: object, release: Optional[str] = None) -> List[Finding]:
    """As :func:`check`, of YAML text.

    Raises:
        UsageProblem: it is not YAML that bertkit reads, or there is nothing in it.
    """
    documents = [each for each in parse_documents(text, where=where) if each.value is not None]
    if not documents:
        raise UsageProblem("there is nothing in this file", where=where)
    return check(documents, release=release, source=text.splitlines())


def check_file(path: Path, *, release: Optional[str] = None) -> List[Finding]:
    """As :func:`check_text`, of a file; ``-`` is standard input.

    Raises:
        UsageProblem: it cannot be read, or is not YAML that bertkit reads.
    """
    if str(path) != "-":
        return check_text(read_text(path), where=path, release=release)
    text = sys.stdin.read(MAX_BYTES + 1)
    if len(text) > MAX_BYTES:
        raise UsageProblem(f"larger than {MAX_BYTES} bytes", where="standard input")
    return check_text(text, where="standard input", release=release)

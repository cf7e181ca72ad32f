"""Rules on shell scripts in a command: the mistakes that users' own files are known for."""

from __future__ import annotations

import re
from itertools import islice
from typing import Iterator, List, Sequence, Set

from bertkit.kube.lint.findings import ERROR, WARNING, Finding
from bertkit.kube.lint.scripts import Script, arguments, scripts
from bertkit.kube.lint.workloads import Node, Pod, Workload, environment

#: mistakes of one kind that are told of one script
_MOST = 20
_BF16 = "TF_BF16_CONVERSION"
_CUT = re.compile(r"\\[ \t]+#\S*")
_BLANK_AFTER = re.compile(r"(?<!\S)(\S+)[ \t]+\\[ \t]+\n")
_SLEEP = re.compile(r"(?:exec )?sleep\s+(infinity|inf|[0-9.]+[smhd]?)$")
_PORT = re.compile(r"plm_rsh_args[ =]+[\"']?-p ?3022")
_INSTALL = re.compile(r"\b(?:pip3?|python3? -m pip|\$\{?PYTHON\}? -m pip|apt(?:-get)?) install\b")
_STOPS = re.compile(r"\bset\s+-[a-z]*e|set -o errexit|trap .* ERR")


def check(workload: Workload, source: Sequence[str]) -> List[Finding]:
    """Rules on all scripts of *workload*."""
    found: List[Finding] = []
    for pod in workload.pods:
        for container in pod.containers():
            found += _port(workload, container)
            for script in scripts(container, source):
                found += _cut(script)
                found += _bf16(script, set(environment(container)))
                found += _sleeps(workload, pod, script)
                found += _installs(script)
    return found


def _cut(script: Script) -> Iterator[Finding]:
    for match in islice(_CUT.finditer(script.text), _MOST):
        yield script.node.finding(
            "comment-cuts-command", ERROR, f"a comment after a backslash: {match.group()!r}",
            why="the backslash then only quotes the blank; what follows is a comment, or inside "
            "quotes a word at which the program stops reading: the flags after it are lost",
            instead="no comment inside a command", line=script.line_of(match.group()),
        )  # fmt: skip
    for match in islice(_BLANK_AFTER.finditer(script.text), _MOST):
        yield script.node.finding(
            "comment-cuts-command", ERROR, f"a blank after the backslash behind {match.group(1)}",
            why="the command ends there: the backslash quotes the blank, not the line's end",
            instead="the backslash as the very last character",
            line=script.line_of(match.group(1)),
        )  # fmt: skip


def _bf16(script: Script, variables: Set[str]) -> Iterator[Finding]:
    assigned = re.search(rf"(^|[\s;]){_BF16}=", script.text)
    if assigned is None and _BF16 not in variables:
        return
    exported = _BF16 in variables or re.search(
        rf"\bexport\b[^;\n]{{0,300}}\b{_BF16}\b|\b(?:declare|typeset)\s+-[a-z]*x[a-z]*\s+{_BF16}\b"
        rf"|(^|[\s;]){_BF16}=[^\s;]+[ \t]+(?![;\s])\S*(?:python|mpirun)|\benv\s+{_BF16}=",
        script.text,
    )
    line = script.line_of(f"{_BF16}=")
    if not exported:
        yield script.node.finding(
            "bf16-exported", ERROR, f"{_BF16} is set, but not exported",
            why="the program that the script starts does not see it, and computes in float32",
            instead=f"export {_BF16}=...", line=line,
        )  # fmt: skip
    elif _mpirun(script) and not re.search(rf"-x\s+{_BF16}\b", script.text):
        yield script.node.finding(
            "bf16-exported", ERROR, f"mpirun does not send {_BF16} to the ranks",
            why="ranks on other hosts get only what -x names, and compute in float32",
            instead=f"mpirun ... -x {_BF16}", line=script.line_of("mpirun"),
        )  # fmt: skip


def _sleeps(workload: Workload, pod: Pod, script: Script) -> Iterator[Finding]:
    if pod.role == "worker":
        return  # v1's operator lets workers sleep; ranks come by kubectl exec
    commands = script.commands()
    seen: Set[str] = set()
    for index, command in enumerate(commands):
        match = _SLEEP.fullmatch(command)
        is_last = index == len(commands) - 1
        if not match or (command in seen and not is_last):
            continue
        seen.add(command)
        line = script.line_of(command)
        if is_last and index > 0:
            yield script.node.finding(
                "no-trailing-sleep", ERROR, f"`{command}` at the end",
                why="it holds the cards when the work is done, and hides the exit code",
                instead="nothing: finished pods keep their logs", line=line,
            )  # fmt: skip
        elif match.group(1).startswith("inf"):
            yield script.node.finding(
                "no-trailing-sleep", ERROR, f"`{command}`",
                why="it holds what the pod has, for ever, and nothing after it is run",
                instead="the command itself", line=line,
            )  # fmt: skip
        elif workload.is_mpi:
            yield script.node.finding(
                "no-fixed-sleep", WARNING, f"`{command}` waits for the workers by the clock",
                why="too short when an image must be pulled, too long otherwise",
                instead="`bertkit train`, which waits until they answer", line=line,
            )  # fmt: skip


def _installs(script: Script) -> Iterator[Finding]:
    seen = set()
    for match in _INSTALL.finditer(" ".join(script.commands())):
        if match.group() not in seen:
            seen.add(match.group())
            yield script.node.finding(
                "no-install-at-start", WARNING, f"`{match.group()}` at every start",
                why="the cards wait meanwhile, and what is installed changes from day to day",
                instead="an image with it, made with bertkit's Dockerfile, or one installation on "
                "shared storage: bertkit manifest prepare-repo",
                line=script.line_of(match.group()),
            )  # fmt: skip


def _port(workload: Workload, container: Node) -> Iterator[Finding]:
    places = [(word, word.text()) for word in arguments(container)]
    places += [
        (entry["value"], f"{name}={entry['value'].text()}")
        for name, entry in environment(container).items()
    ]
    for node, text in places:
        if workload.is_mpi and _PORT.search(text):
            yield node.finding(
                "ssh-port", ERROR, "ssh on port 3022 inside an MPIJob",
                why="there the workers' sshd listens on 22; 3022 is for Habana's bare machines",
                instead="leave plm_rsh_args out",
            )  # fmt: skip


def _mpirun(script: Script) -> bool:
    return any(re.match(r"(\S*/)?mpirun\b", command) for command in script.commands())

"""Shell scripts that stand in a container's command, and lines of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Iterator, List, Optional, Sequence

from bertkit.kube.lint.workloads import Node

_SHELLS = {"sh", "bash", "dash", "ash"}
#: longer ones are not looked at: nobody writes them by hand
_LONGEST = 50_000


@dataclass(frozen=True)
class Script:
    """A script as the shell gets it.

    Attributes:
        text: after YAML has folded it.
        node: the value that it stands in.
        source: lines of the file, or empty.
    """

    text: str
    node: Node
    source: Sequence[str]

    def line_of(self, snippet: str) -> Optional[int]:
        """The line of the file that has *snippet*, from where the script begins."""
        start = self.node.document.lines.get(self.node.place)
        if start is None:
            return None
        words = re.compile(r"\s+".join(map(re.escape, snippet.split())))
        for number in range(start, len(self.source) + 1):
            if words.search(self.source[number - 1]):
                return number
        return start

    def commands(self) -> List[str]:
        """Its simple commands, without comments; continued lines joined."""
        joined = re.sub(r"\\\n", " ", self.text)
        without = re.sub(r"(^|\s)#[^\n]*", r"\1", joined)
        parts = re.split(r"\n|;|&&|\|\||(?<![>&\d])&(?![&>\d])", without)
        return [" ".join(part.split()) for part in parts if part.strip()]


def arguments(container: Node) -> List[Node]:
    """All words of a container's command line."""
    return [*container["command"].entries(), *container["args"].entries()]


def scripts(container: Node, source: Sequence[str]) -> Iterator[Script]:
    """The script of a container that calls a shell with ``-c``."""
    words = arguments(container)
    texts = [word.text() for word in words]
    if not texts or texts[0].rsplit("/", 1)[-1] not in _SHELLS:
        return
    for index, text in enumerate(texts[1:], start=1):
        if re.fullmatch(r"-[a-z]*c", text) and index + 1 < len(words):
            yield Script(texts[index + 1][:_LONGEST], words[index + 1], source)
            return

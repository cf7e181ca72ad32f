"""Which flags upstream's script has, read from its source: nothing is imported or run.

The releases differ in their flags, so that the checkout itself is asked: the script, and of the
modules that it imports those of the checkout.
"""

from __future__ import annotations

import ast
import difflib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, FrozenSet, Iterator, List, Optional, Sequence, Tuple

#: what absl brings by itself and what makes sense for a run; True: a switch
_OF_ABSL = {
    "alsologtostderr": True, "log_dir": False, "logtostderr": True, "showprefixforinfo": True,
    "stderrthreshold": False, "v": False, "verbosity": False,
}  # fmt: skip
#: one of these is in every module that defines flags, or imports another one of the checkout
_TELLING = (b"DEFINE_", b"TensorFlow.")
_OF_PROGRAMS = (b"add_argument", *_TELLING)
_LARGEST = 4 * 1024 * 1024

_Nodes = Sequence[ast.AST]


@dataclass(frozen=True)
class ScriptFlags:
    """What a script understands.

    Attributes:
        script: its path.
        switches: name of a flag -> whether it is a switch, which may stand without a value and
            with ``no`` before its name.
        words: every name and text in the script itself, to find out what else it knows.
    """

    script: Path
    switches: Dict[str, bool] = field(default_factory=dict)
    words: FrozenSet[str] = frozenset()

    def knows(self, name: str) -> bool:
        """Whether ``--name`` or, for a switch, ``--noname`` is a flag."""
        return name in self.switches or self.is_switch(name)

    def is_switch(self, name: str) -> bool:
        """Whether ``--name`` may stand without a value; the *name* may begin with ``no``."""
        negated = name[:2] == "no" and self.switches.get(name[2:], False)
        return self.switches.get(name, negated)

    def nearest(self, name: str) -> List[str]:
        """Flags with a similar name, the most similar first; at most three."""
        return difflib.get_close_matches(name, sorted(self.switches), n=3, cutoff=0.6)


def read(repo: Path, script: str) -> Optional[ScriptFlags]:
    """The flags of *script* in the checkout *repo*; None where none can be read from it.

    Args:
        repo: the checkout.
        script: the script's path below it.
    """
    path = repo / script
    nodes = _nodes(path, _OF_PROGRAMS)
    flags = _defined(nodes, programs=True)
    for _, imported in sorted(_reached(repo, path, nodes).items()):
        flags.update(_defined(imported, programs=False))
    return ScriptFlags(path, {**_OF_ABSL, **flags}, frozenset(_words(nodes))) if flags else None


def _reached(repo: Path, script: Path, nodes: _Nodes) -> Dict[Path, _Nodes]:
    """The checkout's modules that *script* imports, and those that these import."""
    roots = (repo, script.parent)
    seen: Dict[Path, _Nodes] = {}
    waiting = list(_imported(roots, nodes))
    while waiting:
        path = waiting.pop()
        if path in seen or path == script:
            continue
        seen[path] = _nodes(path)
        waiting += _imported(roots, seen[path])
    return seen


def _imported(roots: Tuple[Path, ...], nodes: _Nodes) -> Iterator[Path]:
    for node in nodes:
        if isinstance(node, ast.Import):
            names = [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module, *(f"{node.module}.{each.name}" for each in node.names)]
        else:
            continue
        for name in names:
            parts = name.split(".")
            for root in roots:
                place = root.joinpath(*parts)
                for path in (place.with_suffix(".py"), place / "__init__.py"):
                    if path.is_file():
                        yield path


def _nodes(path: Path, telling: Tuple[bytes, ...] = _TELLING) -> _Nodes:
    """All that stands in a module; nothing where it cannot be read or has nothing of *telling*.

    Walked once: that and parsing take most of the time.
    """
    try:
        if path.stat().st_size > _LARGEST:
            return []
        content = path.read_bytes()
        if not any(word in content for word in telling):
            return []
        return list(ast.walk(ast.parse(content)))
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):  # too deep: 3.8's
        return []


def _defined(nodes: _Nodes, *, programs: bool) -> Dict[str, bool]:
    """``flags.DEFINE_bool("name", ...)`` and the like: name -> whether it is a switch.

    Args:
        nodes: all that stands in the source.
        programs: also what argparse is told. A module that is imported only has its arguments
            for when it is a program itself.
    """
    found = {}
    short = dict(_short_names(nodes))
    for node in nodes:
        if not isinstance(node, ast.Call):
            continue
        keywords = {each.arg: each.value for each in node.keywords}
        name = _text(node.args[0] if node.args else keywords.get("name"))
        kind = _attribute(node.func) or (
            short.get(node.func.id, "") if isinstance(node.func, ast.Name) else ""
        )
        if name is not None and kind.startswith("DEFINE_"):
            found[name] = kind in ("DEFINE_bool", "DEFINE_boolean")
        elif name is not None and programs and kind == "add_argument" and name.startswith("--"):
            found[name[2:]] = (_text(keywords.get("action")) or "").startswith("store_")
    return found


def _short_names(nodes: _Nodes) -> Iterator[Tuple[str, str]]:
    """``text = flags.DEFINE_string``, also several at once: the short name and the function."""
    for node in nodes:
        if not isinstance(node, ast.Assign):
            continue
        for target in node.targets:
            left: Sequence[ast.AST] = [target]
            right: Sequence[ast.AST] = [node.value]
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                left, right = target.elts, node.value.elts
            for name, value in zip(left, right):
                if isinstance(name, ast.Name) and _attribute(value).startswith("DEFINE_"):
                    yield name.id, _attribute(value)


def _attribute(node: ast.AST) -> str:
    """``DEFINE_bool`` of ``flags.DEFINE_bool``; empty for anything else."""
    return node.attr if isinstance(node, ast.Attribute) else ""


def _text(node: Optional[ast.AST]) -> Optional[str]:
    value = node.value if isinstance(node, ast.Constant) else None
    return value if isinstance(value, str) else None


def _words(nodes: _Nodes) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value

"""What upstream's scripts import when they start, also through modules of their checkout."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Iterator, List, Optional, Set, Tuple

BERT = "TensorFlow/nlp/bert"
Name = Tuple[str, Optional[str]]


def imports_of(tree: Path, script: str) -> Set[Name]:
    """Module and name of all that *script* of the checkout *tree* imports from outside of it."""
    found: Set[Name] = set()
    todo: List[Path] = [tree / script]
    seen: Set[Path] = set()
    while todo:
        path = todo.pop()
        if path in seen or not path.is_file():
            continue
        seen.add(path)
        for module, name in _imports(ast.parse(path.read_text(encoding="utf-8")).body):
            if _is_local(tree, module.split(".")[0]):
                todo += _files(tree, module, name)
            else:
                found.add((module, name))
    return found


def _imports(body: List[ast.stmt]) -> Iterator[Name]:
    """The imports that run when the module is loaded, and whose failure nothing catches."""
    for node in body:
        if isinstance(node, ast.Import):
            for each in node.names:
                yield each.name, None
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for each in node.names:
                yield node.module, each.name
        elif isinstance(node, ast.If):
            yield from _imports(node.body)
            yield from _imports(node.orelse)


def _is_local(tree: Path, package: str) -> bool:
    return any(
        (root / package).is_dir() or (root / f"{package}.py").is_file()
        for root in (tree, tree / BERT)
    )


def _files(tree: Path, module: str, name: Optional[str]) -> Iterator[Path]:
    """Where a module of the checkout lies: below its root, or beside the scripts."""
    for root in (tree, tree / BERT):
        place = root.joinpath(*module.split("."))
        yield place.with_suffix(".py")
        yield place / "__init__.py"
        if name is not None:
            yield place / f"{name}.py"

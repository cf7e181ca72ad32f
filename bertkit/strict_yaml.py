"""YAML as bertkit reads it: plain mappings, lists and scalars from a small UTF-8 file.

``yaml.safe_load`` builds no foreign objects, but it follows aliases (a file of one kilobyte can
fill the memory), lets the second of two equal keys win, and does not bound size or depth. All of
that is refused here, so that readers of recipes and patches deal with plain values only.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Hashable, Iterator, List, Mapping, Set, Tuple, Union

from bertkit.errors import BertkitError, UsageProblem

MAX_BYTES = 256 * 1024
MAX_DEPTH = 20

#: Where something stands in a document: its keys and indices from the top.
Place = Tuple[Union[str, int], ...]


@dataclass(frozen=True)
class Document:
    """One document of a stream, with the line (from 1) that each of its values stands on."""

    value: object
    lines: Mapping[Place, int]


def load_strict(path: Path, *, max_bytes: int = MAX_BYTES) -> object:
    """The one YAML document in *path* as dicts, lists, str, int, float, bool and None.

    Args:
        path: a plain file.
        max_bytes: refuse more than this without reading it.

    Raises:
        BertkitError: the file cannot be read, is too large, is not UTF-8, is not YAML or holds
            more than one document; it has anchors, aliases, tags, ``<<`` merges, a key twice, a
            key that is no string, control characters, or is nested too deeply.
    """
    return parse_strict(read_text(path, max_bytes=max_bytes), where=path)


def read_text(path: Path, *, max_bytes: int = MAX_BYTES) -> str:
    """The text of *path*, which must be UTF-8 and not larger than *max_bytes*.

    Raises:
        BertkitError: it cannot be read, is too large or is not UTF-8.
    """
    try:
        with path.open("rb") as stream:
            raw = stream.read(max_bytes + 1)
    except OSError as error:
        raise _refused(path, f"cannot be read: {error.strerror or error}") from None
    if len(raw) > max_bytes:
        raise _refused(path, f"larger than {max_bytes} bytes")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _refused(path, f"not UTF-8: byte {error.start}") from None


def parse_strict(text: str, *, where: object) -> object:
    """Like :func:`load_strict`, from a string; *where* names it in errors."""
    with _told(where):
        import yaml

        _check_events(text, where)
        return yaml.load(text, Loader=_loader())


def parse_documents(text: str, *, where: object) -> List[Document]:
    """All documents of a stream, as strict as :func:`load_strict`, with their lines.

    Raises:
        BertkitError: as :func:`load_strict`, except that there may be several documents.
    """
    documents = []
    with _told(where):
        _check_events(text, where)
        loader = _loader()(text)
        while loader.check_node():
            node = loader.get_node()
            value = loader.construct_document(node)
            lines: Dict[Place, int] = {}
            _note_lines(node, (), lines)
            documents.append(Document(value, lines))
    return documents


@contextlib.contextmanager
def _told(where: object) -> Iterator[None]:
    """Tell PyYAML's errors in bertkit's words."""
    import yaml

    try:
        yield
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}: " if mark is not None else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise _refused(where, f"{place}{problem}") from None
    except ValueError as error:  # such as a timestamp of month 13
        raise _refused(where, str(error)) from None


def _check_events(text: str, where: object) -> None:
    """Walk the parser's events, before anything is built from them."""
    import yaml

    depth = 0
    for event in yaml.parse(text, Loader=_safe_loader()):
        line = 1 + getattr(event.start_mark, "line", 0)
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise _refused(where, f"line {line}: anchors (&) and aliases (*) are not allowed")
        if getattr(event, "tag", None) is not None:
            raise _refused(where, f"line {line}: tags (!) are not allowed")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise _refused(where, f"line {line}: nested deeper than {MAX_DEPTH}")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _note_lines(node: Any, place: Place, lines: Dict[Place, int]) -> None:
    lines[place] = node.start_mark.line + 1
    if isinstance(node.value, list):
        for index, child in enumerate(node.value):
            if isinstance(child, tuple):
                key, value = child
                _note_lines(value, (*place, key.value), lines)
                lines[(*place, key.value)] = key.start_mark.line + 1
            else:
                _note_lines(child, (*place, index), lines)


def _safe_loader() -> Any:
    """PyYAML's safe loader: the one in C, ten times faster, where PyYAML was built with it."""
    import yaml

    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _loader() -> Any:
    """PyYAML's safe loader, less dates (they become strings) and with checked keys."""
    import yaml

    class Loader(_safe_loader()):  # type: ignore[misc]
        # 2023-10-01 is a date to YAML 1.1; to a reader of recipes it is text.
        yaml_implicit_resolvers: Dict[str, List[Any]] = {
            first: [pair for pair in pairs if pair[0] != "tag:yaml.org,2002:timestamp"]
            for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
        }

        def construct_mapping(self, node: Any, deep: bool = False) -> Dict[Hashable, Any]:
            seen: Set[str] = set()
            for key_node, _ in node.value:
                if key_node.tag != "tag:yaml.org,2002:str":
                    raise yaml.constructor.ConstructorError(
                        problem=f"the key {_shown(key_node)} is not a string (quote it)",
                        problem_mark=key_node.start_mark,
                    )
                key = key_node.value
                if key in seen:
                    raise yaml.constructor.ConstructorError(
                        problem=f"the key {key!r} is there twice", problem_mark=key_node.start_mark
                    )
                seen.add(key)
            mapping: Dict[Hashable, Any] = super().construct_mapping(node, deep=deep)
            return mapping

    return Loader


def _shown(node: Any) -> str:
    return repr(node.value) if isinstance(node.value, str) else "at this place"


def _refused(where: object, why: str) -> BertkitError:
    return UsageProblem(
        "this YAML file is refused", where=where, why=why, next_step="mend the file and try again"
    )

"""Objects as YAML for people: in a fixed order, with comments, the same from run to run."""

from __future__ import annotations

import re
from typing import Any, Dict, Iterator, List, Mapping, Sequence, Tuple

from bertkit.strict_yaml import Place, parse_documents

#: What other YAML readers than PyYAML (Go's, in kubectl) may take for something else than text.
_AMBIGUOUS = re.compile(r"[-+.]?[0-9][-+0-9_.:eExXoO]*|[yYnN]|~|[-+]?\.(inf|nan).*", re.IGNORECASE)


def dump(value: Mapping[str, Any], comments: Mapping[Place, str]) -> str:
    """*value* as block-style YAML, each comment on lines of its own above what it is about."""
    import yaml

    class Dumper(yaml.SafeDumper):
        # Lists are set in below their key, as in Kubernetes' own pages.
        def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
            super().increase_indent(flow, False)

        # The same object twice is written twice: no anchors, which bertkit itself refuses.
        def ignore_aliases(self, data: Any) -> bool:
            return True

    def text(dumper: Any, data: str) -> Any:
        style = '"' if _AMBIGUOUS.fullmatch(data) else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", data, style=style)

    Dumper.add_representer(str, text)
    plain = yaml.dump(value, Dumper=Dumper, sort_keys=False, width=1000, allow_unicode=True)
    return _with_comments(plain, comments) if comments else plain


def _with_comments(plain: str, comments: Mapping[Place, str]) -> str:
    lines = plain.splitlines()
    at = parse_documents(plain, where="a manifest")[0].lines
    above: Dict[int, List[str]] = {}
    for place, comment in comments.items():
        if place in at:
            above.setdefault(at[place], []).extend(comment.splitlines())
    return "\n".join(_merged(lines, above)) + "\n"


def _merged(lines: Sequence[str], above: Mapping[int, List[str]]) -> Iterator[str]:
    for number, line in enumerate(lines, start=1):
        indent, _ = _split(line)
        for comment in above.get(number, []):
            yield f"{indent}# {comment}".rstrip()
        yield line


def _split(line: str) -> Tuple[str, str]:
    rest = line.lstrip(" ")
    return line[: len(line) - len(rest)], rest


def heading(lines: Sequence[str]) -> str:
    """Comment lines for the top of a document."""
    return "".join(f"# {line}".rstrip() + "\n" for line in lines)

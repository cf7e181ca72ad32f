"""YAML files are read as plain values, or refused with words."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from bertkit.errors import UsageProblem
from bertkit.strict_yaml import load_strict, parse_strict


@pytest.fixture(params=["in C", "in Python"], autouse=True)
def both_loaders(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyYAML may be built without libyaml; the answers are the same."""
    if request.param == "in Python":
        monkeypatch.delattr(yaml, "CSafeLoader", raising=False)


def test_plain_values_come_through_and_dates_stay_text(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("a: 1\nb: [x, 2.5, true, null]\nc: {d: 2023-10-01}\n", encoding="utf-8")
    assert load_strict(path) == {"a": 1, "b": ["x", 2.5, True, None], "c": {"d": "2023-10-01"}}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: &x [1]\nb: *x\n", "line 1: anchors"),
        ("a: [1\n", "expected"),
        ("a: !!python/object/apply:os.system [id]\n", "line 1: tags"),
        ("a: !!str 1\n", "tags"),
        ("a: 1\nb: 2\na: 3\n", "line 3: the key 'a' is there twice"),
        ("a: {b: 1, b: 2}\n", "the key 'b' is there twice"),
        ("1: x\n", "'1' is not a string"),
        ("yes: x\n", "not a string"),
        ("<<: {a: 1}\n", "'<<' is not a string"),
        ("[a]: 1\n", "is not a string"),
        ("a: 1\n---\nb: 2\n", "another document"),
        ("a: \x07\n", "characters are not allowed"),
        ("[" * 30 + "]" * 30, "nested deeper than 20"),
        ("\tb: 1", "cannot start any token"),
    ],
)
def test_everything_else_is_refused_with_its_own_words(text: str, words: str) -> None:
    with pytest.raises(UsageProblem) as caught:
        parse_strict(text, where="x.yaml")
    assert words in str(caught.value)
    assert "x.yaml" in str(caught.value)


def test_a_bomb_of_aliases_is_refused_before_it_is_built() -> None:
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x]"]
    lines += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    with pytest.raises(UsageProblem, match="anchors"):
        parse_strict("\n".join(lines), where="bomb")


def test_a_file_that_is_too_large_or_not_utf8_or_not_there_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"a: " + b"x" * 100)
    with pytest.raises(UsageProblem, match="larger than 50 bytes"):
        load_strict(path, max_bytes=50)
    path.write_bytes(b"a: \xff\n")
    with pytest.raises(UsageProblem, match="not UTF-8: byte 3"):
        load_strict(path)
    with pytest.raises(UsageProblem, match="No such file"):
        load_strict(tmp_path / "none.yaml")

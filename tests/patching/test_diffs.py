"""Only the plain change of one plain file is a diff to bertkit; all else is refused."""

from __future__ import annotations

from typing import Tuple

import pytest

from bertkit.blobs import blob_id
from bertkit.errors import PatchMisfit
from bertkit.patching.diffs import parse_diff, split_lines
from bertkit.patching.write import make_diff

P = "pkg/a.py"
BEFORE = b"".join(f"line {n}\n".encode() for n in range(1, 13))
AFTER = BEFORE.replace(b"line 6\n", b"line six\n")
GOOD = make_diff(P, "100644", BEFORE, AFTER)
IDS = f"{blob_id(BEFORE)}..{blob_id(AFTER)}"


def renamed(path: str) -> bytes:
    return GOOD.replace(P.encode(), path.encode("utf-8", "surrogateescape"))


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "it is empty"),
        (b" \n\n", "it is empty"),
        (b"garbage\nmore garbage\n", "this is no diff"),
        (b"\x00\xff\xfe garbage", "this is no diff"),
        (GOOD[GOOD.index(b"---") :], "this is no diff"),
        (b"x" * (1 << 20) + b"x", "larger than 1048576 bytes"),
        (renamed("/etc/passwd"), "the path is absolute"),
        (renamed("C:/windows"), "the path is absolute"),
        (renamed("../../outside"), "leaves the tree"),
        (renamed("pkg/../../outside"), "leaves the tree"),
        (renamed("pkg\\a.py"), "backslash"),
        (renamed("pkg/\x1b[2Ja.py"), "control or unprintable"),
        (renamed("pkg/a\r.py"), "control or unprintable"),
        (renamed("pkg/a\x00.py"), "control or unprintable"),
        (renamed(".git/hooks/post-checkout"), "inside .git"),
        (renamed("sub/.GIT/config"), "inside .git"),
        (renamed("git~1/config"), "inside .git"),
        (renamed(".bertkit/lock.json"), "inside .git or .bertkit"),
        (renamed("pkg//a.py"), "normal form"),
        (renamed("./pkg/a.py"), "normal form"),
        (renamed("p" * 600), "longer than 500"),
        (renamed('"pkg/a.py"'), "quoted"),
        (GOOD.replace(b"100644", b"120000"), "a symbolic link (mode 120000)"),
        (GOOD.replace(b"100644", b"160000"), "a submodule (mode 160000)"),
        (GOOD.replace(b"100644", b"100600"), "no plain file"),
        (
            b"diff --git a/x b/x\nnew file mode 120000\nindex " + IDS.encode() + b"\n",
            "it makes a new file: a symbolic link (mode 120000)",
        ),
        (b"diff --git a/x b/x\nnew file mode 100644\n", "it makes a new file"),
        (b"diff --git a/x b/x\ndeleted file mode 100644\n", "it deletes a file"),
        (b"diff --git a/x b/x\nold mode 100644\nnew mode 100755\n", "changes a file's mode"),
        (
            b"diff --git a/x b/y\nsimilarity index 90%\nrename from x\nrename to y\n",
            "renames",
        ),
        (b"diff --git a/x b/y\ncopy from x\ncopy to y\n", "it copies a file"),
        (b"diff --git a/x b/x\nBinary files a/x and b/x differ\n", "it is binary"),
        (b"diff --git a/x b/x\nGIT binary patch\nliteral 3\n", "it is binary"),
        (GOOD.replace(b"+++ b/pkg/a.py", b"+++ b/../../other"), "leaves the tree"),
        (GOOD.replace(b"+++ b/pkg/a.py", b"+++ b/pkg/c.py"), "more than one path"),
        (GOOD.replace(b"--- a/pkg/a.py", b"--- /dev/null"), "makes or deletes a file"),
        (GOOD.replace(b"+++ b/pkg/a.py", b"+++ /etc/passwd"), "absolute"),
        (GOOD.replace(b"+++ b/pkg", b"+++ pkg"), "a path without b/"),
        (GOOD.replace(b"+++ b/pkg/a.py", b"+++ b/pkg/a.py\t2020-01-01"), "control"),
        (GOOD.replace(IDS.encode(), b"1234567..89abcde"), "full blob ids"),
        (GOOD[: GOOD.index(b"@@")], "it has no hunks"),
        (GOOD[: GOOD.index(b"@@") + 30], "cut off"),
        (GOOD[:-8], "cannot be read"),
        (GOOD[:-1], "cut off"),
        (GOOD + b"some words\n", "belongs to no hunk"),
        (GOOD + b"\n", "belongs to no hunk"),
        (GOOD + GOOD, "more than one file"),
        (GOOD + GOOD[GOOD.index(b"---") :], "belongs to no hunk"),
        (GOOD.replace(b"\n", b"\r\n"), "its own lines end in CR LF"),
        (GOOD.replace(b"\n", b"\r"), "its own lines end in CR"),
        (GOOD.replace(b"@@ -3,7 +3,7 @@", b"@@ -3,7 +4,7 @@"), "line numbers that cannot be"),
        (GOOD.replace(b"@@ -3,7", b"@@ -3,8"), "cannot be read"),
        (GOOD.replace(b"@@ -3,7", b"@@ -3," + b"9" * 999), "cannot be read"),
        (GOOD.replace(b"-line 6\n+line six\n", b"-line 6\n+line 6\n"), "changes nothing"),
    ],
)
def test_anything_but_a_plain_change_is_refused_with_its_own_words(raw: bytes, words: str) -> None:
    with pytest.raises(PatchMisfit) as caught:
        parse_diff(raw, where="x.diff")
    text = str(caught.value)
    assert "this diff is refused" in text
    assert words in text
    assert "x.diff" in text
    assert caught.value.exit_code == 4
    assert all(character.isprintable() or character == "\n" for character in text)


def test_a_second_file_after_the_hunks_is_refused() -> None:
    second = renamed("pkg/other.py")
    with pytest.raises(PatchMisfit):
        parse_diff(GOOD + second, where="x.diff")


def test_a_good_diff_is_read_and_goes_both_ways() -> None:
    diff = parse_diff(GOOD, where="x.diff")
    assert (diff.path, diff.pre, diff.post, diff.mode) == (
        P,
        blob_id(BEFORE),
        blob_id(AFTER),
        "100644",
    )
    assert diff.apply(BEFORE) == AFTER
    assert diff.unapply(AFTER) == BEFORE


SHAPES = [
    pytest.param((b"a\r\nb\r\nc\r\n", b"a\r\nB\r\nc\r\n"), id="CRLF"),
    pytest.param((b"a\nb\r\nc\n", b"a\nb\nc\n"), id="mixed ends"),
    pytest.param((b"a\rb\rc\nd\n", b"a\rB\rc\nd\n"), id="CR inside a line"),
    pytest.param((b"a\nb", b"a\nB"), id="no final newline on either side"),
    pytest.param((b"a\nb", b"a\nb\n"), id="a final newline added"),
    pytest.param((b"a\nb\n", b"a\nb"), id="a final newline removed"),
    pytest.param((b"a\nb\nc", b"A\nb\nc"), id="a last line without newline as context"),
    pytest.param((b"", b"a\n"), id="from empty"),
    pytest.param((b"a\n", b""), id="to empty"),
    pytest.param((b"a\n", b"b\n"), id="one line"),
    pytest.param((b"a\x0cb\n\x0b\n", b"a\x0cb\n\x0bx\n"), id="form feeds"),
    pytest.param((b"a\xe2\x80\xa8b\nc\n", b"a\xe2\x80\xa8b\nd\n"), id="U+2028"),
    pytest.param((b"\xff\xfe\n\x85x\n", b"\xff\n\x85y\n"), id="not UTF-8"),
    pytest.param((b"-- a\n++ b\n", b"-- a\n++ c\n"), id="lines that look like a header"),
    pytest.param((b"@@ -1,1 +1,1 @@\nx\n", b"@@ -1,1 +1,1 @@\ny\n"), id="looks like a hunk"),
    pytest.param((b"\\ No newline\nx\n", b"\\ No newline\ny\n"), id="looks like a marker"),
]


@pytest.mark.parametrize("shape", SHAPES)
def test_line_ends_and_odd_bytes_survive(shape: Tuple[bytes, bytes]) -> None:
    before, after = shape
    diff = parse_diff(make_diff(P, "100755", before, after), where="x.diff")
    assert diff.apply(before) == after
    assert diff.unapply(after) == before


def test_a_hunk_must_match_exactly_at_its_line() -> None:
    diff = parse_diff(GOOD, where="x.diff")
    for other in (b"one more\n" + BEFORE, BEFORE.replace(b"line 4\n", b"line  4\n"), BEFORE[:20]):
        with pytest.raises(PatchMisfit, match="hunk 1 of 1 does not match at line 3"):
            diff.apply(other)


def test_a_result_with_another_blob_id_is_refused_though_all_hunks_match() -> None:
    diff = parse_diff(GOOD, where="x.diff")
    with pytest.raises(PatchMisfit, match=f"not {blob_id(AFTER)[:12]}"):
        diff.apply(BEFORE.replace(b"line 12\n", b"line twelve\n"))


def test_only_newline_ends_a_line() -> None:
    assert split_lines(b"a\rb\x0c\nc\x85") == [b"a\rb\x0c\n", b"c\x85"]
    assert split_lines(b"") == []

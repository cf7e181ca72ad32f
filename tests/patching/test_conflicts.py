"""A patch that does not fit says why: each hunk, what was expected, what is there, what to do."""

from __future__ import annotations

import json

import pytest

from bertkit.patching import apply_series
from bertkit.patching.conflicts import PatchConflict
from tests.patching.builder import RELEASE, Workshop
from tests.patching.conftest import A_ONE, A_ONLY_TWO, A


def conflict_of(workshop: Workshop) -> PatchConflict:
    before = workshop.contents()
    with pytest.raises(PatchConflict) as caught:
        apply_series(workshop.tree, RELEASE, workshop.series())
    assert workshop.contents() == before
    return caught.value


def unknown(workshop: Workshop, content: bytes) -> PatchConflict:
    """As if upstream had this content: there is no git that would know another."""
    (workshop.tree / ".git").rename(workshop.tree.parent / "git")
    workshop.file("pkg/a.py", content)
    return conflict_of(workshop)


def test_expected_and_found_lines_have_their_numbers(workshop: Workshop) -> None:
    text = str(unknown(workshop, A.replace(b"line 5\n", b"line 5 new\n")))
    assert "one: pkg/a.py: drifted: blob" in text
    assert "hunk 1 of 1, line 2: fits nowhere" in text
    assert "          5 | line 5\n" in text
    assert "          5 | line 5 new\n" in text
    assert f"next: bertkit patches refresh --onto {RELEASE}" in text
    assert f"this tree is {RELEASE}; the diff was made for 1.0.0 - 1.14.0" in text


def test_the_nearest_place_where_a_hunk_would_fit_is_named(workshop: Workshop) -> None:
    conflict = unknown(workshop, b"more\nlines\n" + A).conflicts[0]
    assert [(hunk.line, hunk.nearest, hunk.fits) for hunk in conflict.hunks] == [(2, 4, False)]
    assert "does not fit here; it would at line 4" in "\n".join(conflict.lines())


def test_a_change_that_upstream_has_already_is_recognised(workshop: Workshop) -> None:
    conflict = unknown(workshop, b"more\n" + A_ONE).conflicts[0]
    assert conflict.hunks[0].already
    assert "upstream seems to have the change already" in conflict.reason


def test_a_hunk_that_fits_is_told_apart(workshop: Workshop) -> None:
    conflicts = unknown(workshop, A.replace(b"line 20\n", b"line 20 new\n")).conflicts
    assert {c.patch: [h.fits for h in c.hunks] for c in conflicts if c.path == "pkg/a.py"} == {
        "one": [True],
        "two": [False],
    }


def test_a_hand_edit_of_upstreams_file_is_shown_as_a_diff(workshop: Workshop) -> None:
    workshop.file("pkg/a.py", A.replace(b"line 9\n", b"my line\n"))
    conflict = conflict_of(workshop).conflicts[0]
    assert "it was edited by hand" in conflict.reason
    assert [line for line in conflict.edit.splitlines() if line[:1] in "+-"][2:] == [
        "-line 9",
        "+my line",
    ]
    assert "checkout -- pkg/a.py" in conflict.next_step


def test_a_hand_edit_of_a_patched_file_is_told_from_the_patch(workshop: Workshop) -> None:
    workshop.lock()
    apply_series(workshop.tree, RELEASE, workshop.series(), only=["two"])
    workshop.file("pkg/a.py", A_ONLY_TWO.replace(b"line 9\n", b"my line\n"))
    conflict = conflict_of(workshop).conflicts[0]
    assert [line for line in conflict.edit.splitlines() if line[:1] in "+-"][2:] == [
        "-line 9",
        "+my line",
    ]


def test_an_edit_is_printed_once_though_several_patches_meet_it(workshop: Workshop) -> None:
    workshop.file("pkg/a.py", A.replace(b"line 9\n", b"my line\n"))
    assert str(conflict_of(workshop)).count("+my line") == 1


def test_foreign_control_characters_do_not_reach_the_terminal(workshop: Workshop) -> None:
    text = str(unknown(workshop, A.replace(b"line 5\n", b"line \x1b[2J\x07\r5\n")))
    assert all(character.isprintable() or character in "\n\t" for character in text)


def test_the_report_is_json_too(workshop: Workshop) -> None:
    report = json.loads(json.dumps(unknown(workshop, A + b"x\n").as_dict()))
    assert report["exit_code"] == 4
    assert {conflict["patch"] for conflict in report["conflicts"]} == {"one", "two"}
    assert report["conflicts"][0]["hunks"][0]["expected"][0] == "line 2"

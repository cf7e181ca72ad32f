"""A series applies wholly or not at all, exactly, and only once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bertkit.blobs import blob_id
from bertkit.errors import EnvironmentUnfit, PatchMisfit, UsageProblem
from bertkit.patching import apply_series, diff_series, unapply_series
from bertkit.patching.conflicts import PatchConflict
from bertkit.upstream.lock import differences, read_lock
from tests.patching.builder import RELEASE, Workshop, lines
from tests.patching.conftest import A_ONE, A_ONLY_TWO, A_TWO, B_ONE, A


def test_all_files_get_the_content_that_the_series_pins(workshop: Workshop) -> None:
    workshop.lock()
    carried = apply_series(workshop.tree, RELEASE, workshop.series())
    assert (workshop.tree / "pkg/a.py").read_bytes() == A_TWO
    assert (workshop.tree / "pkg/b.sh").read_bytes() == B_ONE
    assert [patch.id for patch in carried] == ["one", "two"]
    assert [(f.path, f.pre, f.post) for f in carried[1].files] == [
        ("pkg/a.py", blob_id(A_ONE), blob_id(A_TWO))
    ]


def test_the_lock_says_afterwards_what_the_tree_is(workshop: Workshop) -> None:
    workshop.lock()
    carried = apply_series(workshop.tree, RELEASE, workshop.series())
    lock = read_lock(workshop.tree)
    assert lock.patches == carried
    assert lock.url == "file:///upstream"
    assert differences(workshop.tree, lock) == []


def test_a_second_time_nothing_is_written(workshop: Workshop) -> None:
    workshop.lock()
    first = apply_series(workshop.tree, RELEASE, workshop.series())
    times = {p: p.stat().st_mtime_ns for p in workshop.tree.rglob("*") if ".git" not in p.parts}
    lock_file = workshop.tree / ".bertkit/lock.json"
    inode = lock_file.stat().st_ino
    assert apply_series(workshop.tree, RELEASE, workshop.series()) == first
    again = {p: p.stat().st_mtime_ns for p in workshop.tree.rglob("*") if ".git" not in p.parts}
    again.pop(workshop.tree / ".bertkit/patching.lock")
    times.pop(workshop.tree / ".bertkit/patching.lock")
    assert again == times
    assert lock_file.stat().st_ino == inode


def test_permissions_stay(workshop: Workshop) -> None:
    (workshop.tree / "pkg/a.py").chmod(0o640)
    apply_series(workshop.tree, RELEASE, workshop.series())
    assert (workshop.tree / "pkg/a.py").stat().st_mode & 0o7777 == 0o640
    assert (workshop.tree / "pkg/b.sh").stat().st_mode & 0o7777 == 0o755


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"a\r\nb\r\n", b"a\r\nB\r\n"),
        (b"a\nb", b"a\nB"),
        (b"a\nb", b"a\nb\nc\n"),
        (b"\xff\r\x00\nb\n", b"\xff\r\x00\nB\n"),
    ],
)
def test_line_ends_and_final_newlines_stay(tmp_path: Path, before: bytes, after: bytes) -> None:
    made = Workshop(tmp_path)
    made.file("x.txt", before)
    made.patch("one", ("x.txt", before, after))
    made.lock()
    apply_series(made.tree, RELEASE, made.series())
    assert (made.tree / "x.txt").read_bytes() == after
    unapply_series(made.tree, made.series())
    assert (made.tree / "x.txt").read_bytes() == before


def test_a_dry_run_says_the_same_and_writes_nothing(workshop: Workshop) -> None:
    before = workshop.contents()
    planned = apply_series(workshop.tree, RELEASE, workshop.series(), dry_run=True)
    assert workshop.contents() == before
    assert not (workshop.tree / ".bertkit").exists()
    assert planned == apply_series(workshop.tree, RELEASE, workshop.series())


def test_one_file_that_does_not_fit_stops_all_and_all_failures_are_named(
    workshop: Workshop,
) -> None:
    workshop.lock()
    workshop.file("pkg/a.py", A.replace(b"line 20\n", b"line 20 edited\n"))
    (workshop.tree / "pkg/b.sh").unlink()
    before = workshop.contents()
    with pytest.raises(PatchConflict) as caught:
        apply_series(workshop.tree, RELEASE, workshop.series())
    assert workshop.contents() == before
    assert read_lock(workshop.tree).patches == ()
    assert {(c.patch, c.path, c.state) for c in caught.value.conflicts} == {
        ("one", "pkg/a.py", "drifted"),
        ("one", "pkg/b.sh", "missing-target"),
        ("two", "pkg/a.py", "drifted"),
    }
    assert caught.value.exit_code == 4


def test_a_choice_applies_only_its_patches(workshop: Workshop) -> None:
    carried = apply_series(workshop.tree, RELEASE, workshop.series(), only=["two"])
    assert (workshop.tree / "pkg/a.py").read_bytes() == A_ONLY_TWO
    assert [patch.id for patch in carried] == ["two"]


def test_a_choice_adds_to_what_is_there(workshop: Workshop) -> None:
    apply_series(workshop.tree, RELEASE, workshop.series(), only=["one"])
    carried = apply_series(workshop.tree, RELEASE, workshop.series(), only=["two"])
    assert (workshop.tree / "pkg/a.py").read_bytes() == A_TWO
    assert [patch.id for patch in carried] == ["one", "two"]


def test_a_choice_without_a_diff_of_its_own_is_refused_with_what_it_needs(tmp_path: Path) -> None:
    made = Workshop(tmp_path)
    made.file("a.py", A)
    made.patch("one", ("a.py", A, A_ONE))
    made.patch("two", ("a.py", A_ONE, A_TWO))
    with pytest.raises(PatchMisfit, match="two is made to follow one in this file: choose one"):
        apply_series(made.tree, RELEASE, made.series(), only=["two"])
    assert (made.tree / "a.py").read_bytes() == A


def test_an_unknown_patch_is_a_usage_problem(workshop: Workshop) -> None:
    with pytest.raises(UsageProblem, match="no such patch: nine"):
        apply_series(workshop.tree, RELEASE, workshop.series(), only=["nine"])
    assert not (workshop.tree / ".bertkit").exists()


@pytest.mark.parametrize("link", ["pkg", "pkg/a.py"])
def test_nothing_is_written_through_a_link(workshop: Workshop, link: str, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (workshop.tree / link).rename(outside)
    (workshop.tree / link).symlink_to(outside)
    with pytest.raises(PatchConflict, match=f"{link} is a symbolic link"):
        apply_series(workshop.tree, RELEASE, workshop.series())
    target = outside if outside.is_file() else outside / "a.py"
    assert target.read_bytes() == A


@pytest.mark.parametrize("name", [".bertkit", ".bertkit/patching.lock"])
def test_a_state_directory_that_leads_elsewhere_is_refused(
    workshop: Workshop, tmp_path: Path, name: str
) -> None:
    victim = tmp_path / "victim"
    if name == ".bertkit":
        victim.mkdir()
    else:
        victim.write_text("precious")
        (workshop.tree / ".bertkit").mkdir()
    (workshop.tree / name).symlink_to(victim)
    with pytest.raises(PatchMisfit):
        apply_series(workshop.tree, RELEASE, workshop.series())
    assert list(victim.iterdir()) == [] if victim.is_dir() else victim.read_text() == "precious"


def test_a_file_that_cannot_be_written_stops_all(workshop: Workshop) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    (workshop.tree / "pkg").chmod(0o555)
    try:
        with pytest.raises(EnvironmentUnfit) as caught:
            apply_series(workshop.tree, RELEASE, workshop.series())
        assert caught.value.why == "Permission denied"
    finally:
        (workshop.tree / "pkg").chmod(0o755)
    assert (workshop.tree / "pkg/a.py").read_bytes() == A


def test_the_diff_is_the_same_before_and_after(workshop: Workshop) -> None:
    before = diff_series(workshop.tree, RELEASE, workshop.series())
    assert before.count("diff --git") == 3
    apply_series(workshop.tree, RELEASE, workshop.series())
    assert diff_series(workshop.tree, RELEASE, workshop.series()) == before


def test_files_of_other_releases_are_left_alone(tmp_path: Path) -> None:
    made = Workshop(tmp_path)
    made.file("a.py", lines(1))
    made.patch("old", ("a.py", lines(1), lines(2)), releases="0.13.0")
    assert apply_series(made.tree, RELEASE, made.series()) == ()
    assert (made.tree / "a.py").read_bytes() == lines(1)

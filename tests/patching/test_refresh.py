"""The maintainer's refresh carries a patch to a new release, or shows the conflict."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bertkit.blobs import blob_id
from bertkit.errors import EnvironmentUnfit, PatchMisfit, UpstreamUnavailable
from bertkit.patching import apply_series, load_series
from bertkit.patching.refresh import refresh
from bertkit.patching.write import git_environment
from tests.patching.builder import Workshop
from tests.patching.conftest import A_ONE, A_TWO, A


def branch(workshop: Workshop, name: str) -> Path:
    """Commit the tree as it is to a branch; the clone that has it."""
    for arguments in (
        ["checkout", "-q", "-b", name],
        ["add", "-A"],
        ["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-q", "--allow-empty", "-m", name],
    ):
        subprocess.run(
            ["git", *arguments],
            cwd=workshop.tree,
            env={**git_environment(), "HOME": str(workshop.tree)},
            check=True,
        )
    return workshop.tree


def test_a_release_that_fits_already_needs_nothing(workshop: Workshop) -> None:
    mirror = branch(workshop, "1.13.0")
    assert refresh(workshop.series(), "1.13.0", mirror) == ()


def test_hunks_that_only_moved_are_moved_and_the_whole_chain_follows(workshop: Workshop) -> None:
    workshop.file("pkg/a.py", b"a new first line\n" + A)
    mirror = branch(workshop, "1.14.0")
    made = refresh(workshop.series(), "1.14.0", mirror)
    assert [(each.patch, each.how) for each in made] == [
        ("one", "moved"),
        ("two", "moved"),
        ("two", "moved"),
    ]
    series = workshop.series()
    apply_series(workshop.tree, "1.14.0", series, only=["two"])
    workshop.file("pkg/a.py", b"a new first line\n" + A)
    apply_series(workshop.tree, "1.14.0", series)
    assert (workshop.tree / "pkg/a.py").read_bytes() == b"a new first line\n" + A_TWO
    assert refresh(series, "1.14.0", mirror) == ()


def test_a_changed_neighbour_is_merged_three_ways(workshop: Workshop) -> None:
    branch(workshop, "1.13.0")
    changed = A.replace(b"line 8\n", b"line eight\n")
    workshop.file("pkg/a.py", changed)
    mirror = branch(workshop, "1.14.0")
    made = refresh(workshop.series(), "1.14.0", mirror)
    assert [(each.patch, each.how) for each in made][0] == ("one", "merged")
    apply_series(workshop.tree, "1.14.0", workshop.series())
    expected = A_TWO.replace(b"line 8\n", b"line eight\n")
    assert (workshop.tree / "pkg/a.py").read_bytes() == expected


def test_a_new_release_is_added_to_the_ranges(workshop: Workshop) -> None:
    workshop.file("pkg/a.py", b"first\n" + A)
    mirror = branch(workshop, "1.20.0")
    refresh(workshop.series(), "1.20.0", mirror)
    assert "1.20.0" in workshop.series()["one"].releases
    assert "1.19.0" not in workshop.series()["one"].releases
    apply_series(workshop.tree, "1.20.0", workshop.series())


def test_a_change_that_upstream_made_itself_is_recorded_as_such(workshop: Workshop) -> None:
    branch(workshop, "1.13.0")
    mended = A_ONE.replace(b"line 12\n", b"line twelve\n")
    workshop.file("pkg/a.py", mended)
    mirror = branch(workshop, "1.14.0")
    made = refresh(workshop.series(), "1.14.0", mirror)
    assert [(each.patch, each.how) for each in made][0] == ("one", "upstreamed")
    assert workshop.series()["one"].targets[0].upstreamed == (blob_id(mended),)


def test_a_conflict_is_shown_and_nothing_is_written(workshop: Workshop) -> None:
    branch(workshop, "1.13.0")
    workshop.file("pkg/a.py", A.replace(b"line 5\n", b"line cinq\n"))
    mirror = branch(workshop, "1.14.0")
    before = {path: path.read_bytes() for path in workshop.patches.rglob("*") if path.is_file()}
    with pytest.raises(PatchMisfit) as caught:
        refresh(workshop.series(), "1.14.0", mirror)
    text = str(caught.value)
    assert "one: pkg/a.py" in text
    assert all(side in text for side in ("line cinq", "line five", "<<<<<<< release"))
    after = {path: path.read_bytes() for path in workshop.patches.rglob("*") if path.is_file()}
    assert after == before


def test_a_dry_run_writes_nothing(workshop: Workshop) -> None:
    workshop.file("pkg/a.py", b"first\n" + A)
    mirror = branch(workshop, "1.14.0")
    before = {path: path.read_bytes() for path in workshop.patches.rglob("*") if path.is_file()}
    assert len(refresh(workshop.series(), "1.14.0", mirror, dry_run=True)) == 3
    after = {path: path.read_bytes() for path in workshop.patches.rglob("*") if path.is_file()}
    assert after == before


def test_a_clone_that_lacks_the_release_is_no_use(workshop: Workshop) -> None:
    with pytest.raises(UpstreamUnavailable, match="the clone has no branch 1.14.0"):
        refresh(workshop.series(), "1.14.0", workshop.tree)
    with pytest.raises(EnvironmentUnfit, match="a local clone of upstream is needed"):
        refresh(workshop.series(), "1.14.0")


def test_the_shipped_patches_fit_the_stand_in_without_a_refresh() -> None:
    assert refresh(load_series(), "standin", dry_run=True) == ()

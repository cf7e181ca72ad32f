"""Patches come out again where the tree is what its lock says, and nowhere else."""

from __future__ import annotations

import pytest

from bertkit.errors import EnvironmentUnfit, PatchMisfit, UsageProblem
from bertkit.patching import apply_series, unapply_series
from bertkit.patching.conflicts import PatchConflict
from bertkit.upstream.lock import read_lock
from tests.patching.builder import RELEASE, Workshop, lines
from tests.patching.conftest import A_ONE, A_ONLY_TWO, A_TWO, A


@pytest.fixture
def patched(workshop: Workshop) -> Workshop:
    workshop.lock()
    apply_series(workshop.tree, RELEASE, workshop.series())
    return workshop


def test_all_files_are_exactly_what_they_were(workshop: Workshop) -> None:
    before = workshop.contents()
    workshop.lock()
    apply_series(workshop.tree, RELEASE, workshop.series())
    undone = unapply_series(workshop.tree, workshop.series())
    assert workshop.contents() == before
    assert [patch.id for patch in undone] == ["one", "two"]
    assert read_lock(workshop.tree).patches == ()


def test_a_second_time_there_is_nothing_to_do(patched: Workshop) -> None:
    unapply_series(patched.tree, patched.series())
    assert unapply_series(patched.tree, patched.series()) == ()


def test_a_dry_run_writes_nothing(patched: Workshop) -> None:
    before = patched.contents()
    assert len(unapply_series(patched.tree, patched.series(), dry_run=True)) == 2
    assert patched.contents() == before
    assert len(read_lock(patched.tree).patches) == 2


def test_the_last_patch_of_a_chain_comes_out_alone(patched: Workshop) -> None:
    unapply_series(patched.tree, patched.series(), only=["two"])
    assert (patched.tree / "pkg/a.py").read_bytes() == A_ONE
    assert [patch.id for patch in read_lock(patched.tree).patches] == ["one"]


def test_an_earlier_patch_comes_out_where_the_later_one_is_pinned_without_it(
    patched: Workshop,
) -> None:
    unapply_series(patched.tree, patched.series(), only=["one"])
    assert (patched.tree / "pkg/a.py").read_bytes() == A_ONLY_TWO
    lock = read_lock(patched.tree)
    assert [patch.id for patch in lock.patches] == ["two"]
    unapply_series(patched.tree, patched.series())
    assert (patched.tree / "pkg/a.py").read_bytes() == A


def test_an_earlier_patch_stays_where_the_later_one_needs_it(patched: Workshop) -> None:
    two = patched.series()["two"]
    patched.index(
        "two",
        files=[
            {
                "path": "pkg/a.py",
                "mode": "100644",
                "images": [
                    {
                        "seen-in": "1.0.0",
                        "pre": image.pre,
                        "post": image.post,
                        "diff": image.diff.name,
                        "sha256": image.sha256,
                    }
                    for image in list(two.targets[0].images.values())[:1]
                ],
            }
        ],
    )
    before = patched.contents()
    with pytest.raises(PatchConflict, match="two stays, but is made to follow it"):
        unapply_series(patched.tree, patched.series(), only=["one"])
    assert patched.contents() == before


def test_a_hand_edit_is_kept_named_and_shown(patched: Workshop) -> None:
    edited = A_TWO.replace(b"line 10\n", b"my own line\n")
    patched.file("pkg/a.py", edited)
    before = patched.contents()
    with pytest.raises(PatchConflict) as caught:
        unapply_series(patched.tree, patched.series())
    assert patched.contents() == before
    assert len(read_lock(patched.tree).patches) == 2
    (conflict,) = caught.value.conflicts
    assert conflict.path == "pkg/a.py"
    changed = [line for line in conflict.edit.splitlines() if line[:1] in "+-"][2:]
    assert changed == ["-line 10", "+my own line"]
    assert "my own line" in str(caught.value)
    assert f"git -C {patched.tree} checkout -- pkg/a.py" in str(caught.value)


def test_a_file_that_is_gone_is_named(patched: Workshop) -> None:
    (patched.tree / "pkg/b.sh").unlink()
    with pytest.raises(PatchConflict, match=r"pkg/b\.sh: missing-target"):
        unapply_series(patched.tree, patched.series())
    assert (patched.tree / "pkg/a.py").read_bytes() == A_TWO


def test_without_a_lock_nothing_is_undone(workshop: Workshop) -> None:
    apply_series(workshop.tree, RELEASE, workshop.series())
    with pytest.raises(EnvironmentUnfit, match="no prepared checkout here"):
        unapply_series(workshop.tree, workshop.series())
    assert (workshop.tree / "pkg/a.py").read_bytes() == A_TWO


def test_a_series_that_has_changed_since_can_still_be_undone(patched: Workshop) -> None:
    """Git's own objects hold what was there before, whatever the shipped diffs are now."""
    newer = A.replace(b"line 5\n", b"line FIVE\n")
    for path in (patched.patches / "one").iterdir():
        path.unlink()
    (patched.patches / "one").rmdir()
    patched._ids.clear()
    patched.patch("one", ("pkg/a.py", A, newer))
    with pytest.raises(PatchMisfit, match="it carries an older form of the patches"):
        apply_series(patched.tree, RELEASE, patched.series())
    unapply_series(patched.tree, patched.series())
    assert (patched.tree / "pkg/a.py").read_bytes() == A
    apply_series(patched.tree, RELEASE, patched.series())
    assert (patched.tree / "pkg/a.py").read_bytes() == newer


def test_a_patch_that_nobody_knows_is_a_usage_problem(patched: Workshop) -> None:
    with pytest.raises(UsageProblem, match="no such patch: nine"):
        unapply_series(patched.tree, patched.series(), only=["nine"])


def test_a_patch_that_is_not_applied_needs_no_undoing(workshop: Workshop) -> None:
    workshop.lock()
    apply_series(workshop.tree, RELEASE, workshop.series(), only=["one"])
    assert unapply_series(workshop.tree, workshop.series(), only=["two"]) == ()
    assert (workshop.tree / "pkg/a.py").read_bytes() == A_ONE


def test_applying_some_patches_keeps_the_record_of_the_others(patched: Workshop) -> None:
    patched.file("pkg/d.py", lines(1))
    patched.patch("three", ("pkg/d.py", lines(1), lines(2)))
    apply_series(patched.tree, RELEASE, patched.series(), only=["three"])
    assert [patch.id for patch in read_lock(patched.tree).patches] == ["one", "two", "three"]

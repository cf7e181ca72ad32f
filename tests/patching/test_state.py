"""Every file of a patch is in one of six states, told by its blob id and nothing else."""

from __future__ import annotations

from typing import Dict

import pytest

from bertkit.blobs import blob_id
from bertkit.errors import PatchMisfit
from bertkit.patching import states
from tests.patching.builder import RELEASE, Workshop
from tests.patching.conftest import A_ONE, A_ONLY_TWO, A_TWO, B_ONE, A


def found(workshop: Workshop, release: str = RELEASE) -> Dict[str, str]:
    return {patch.id: patch.state for patch in states(workshop.tree, release, workshop.series())}


def test_an_untouched_tree_takes_the_whole_chain(workshop: Workshop) -> None:
    assert found(workshop) == {"one": "applicable", "two": "applicable"}


def test_a_file_in_the_middle_of_its_chain_tells_what_it_carries(workshop: Workshop) -> None:
    workshop.file("pkg/a.py", A_ONE)
    assert found(workshop) == {"one": "applicable", "two": "applicable"}
    workshop.file("pkg/b.sh", B_ONE)
    assert found(workshop) == {"one": "applied", "two": "applicable"}
    workshop.file("pkg/a.py", A_TWO)
    assert found(workshop) == {"one": "applied", "two": "applied"}


def test_an_edit_of_one_byte_is_drift(workshop: Workshop) -> None:
    workshop.file("pkg/a.py", A_TWO + b"\n")
    assert found(workshop) == {"one": "drifted", "two": "drifted"}


def test_line_ends_are_content(workshop: Workshop) -> None:
    workshop.file("pkg/a.py", A.replace(b"\n", b"\r\n"))
    assert found(workshop)["two"] == "drifted"


def test_a_missing_file_is_no_drift(workshop: Workshop) -> None:
    (workshop.tree / "pkg/a.py").unlink()
    assert found(workshop) == {"one": "missing-target", "two": "missing-target"}


def test_a_link_is_never_followed(workshop: Workshop) -> None:
    real = workshop.tree / "pkg/a.py"
    real.rename(workshop.tree / "real.py")
    real.symlink_to("../real.py")
    state = states(workshop.tree, RELEASE, workshop.series())[1]
    assert state.state == "missing-target"
    assert state.files[0].note == "pkg/a.py is a symbolic link"


def test_a_release_outside_the_range_is_not_supported(workshop: Workshop) -> None:
    assert set(found(workshop, "1.15.0").values()) == {"unsupported-release"}
    assert set(found(workshop, "0.13.0").values()) == {"unsupported-release"}


def test_a_content_that_upstream_has_mended_is_upstreamed(workshop: Workshop) -> None:
    mended = A.replace(b"line 2\n", b"line two\n")
    workshop.patch(
        "three",
        ("pkg/c.py", b"untouched\n", b"touched\n"),
        upstreamed={"pkg/c.py": [blob_id(mended)]},
    )
    workshop.file("pkg/c.py", mended)
    assert found(workshop)["three"] == "upstreamed"


def test_a_patch_that_must_come_first_is_told_apart_from_drift_by_its_note(
    workshop: Workshop,
) -> None:
    workshop.file("pkg/a.py", A_ONLY_TWO)
    one, two = states(workshop.tree, RELEASE, workshop.series())
    assert two.state == "applied"
    assert one.state == "drifted"
    assert one.files[0].note == ("one comes before two, which this file carries: unapply two first")


@pytest.mark.parametrize(
    "release", ["1.13", "latest", "1.13.0\n", "01.2.3", "1.13.0; rm", "１.1.1", ""]
)
def test_a_release_is_three_numbers(workshop: Workshop, release: str) -> None:
    with pytest.raises(PatchMisfit, match="is not a release"):
        states(workshop.tree, release, workshop.series())

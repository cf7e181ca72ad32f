"""patches/ is read strictly: what is not understood is refused, and named."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Dict, List

import pytest

from bertkit.errors import PatchMisfit, UsageProblem
from bertkit.patching import load_series
from tests.patching.builder import Workshop, lines

BLOB = "1" * 40
SHA = "2" * 64


def image(**changes: object) -> Dict[str, object]:
    value: Dict[str, object] = {
        "pre": BLOB,
        "post": "3" * 40,
        "diff": "a.diff",
        "sha256": SHA,
        "seen-in": "1.0.0",
    }
    value.update(changes)
    return value


def target(**changes: object) -> Dict[str, object]:
    value: Dict[str, object] = {"path": "pkg/a.py", "mode": "100644", "images": [image()]}
    value.update(changes)
    return value


def files(*targets: object) -> Callable[[Workshop], None]:
    return lambda workshop: workshop.index("one", files=list(targets))


def text(content: str, name: str = "one/patch.yaml") -> Callable[[Workshop], None]:
    def write(workshop: Workshop) -> None:
        (workshop.patches / name).write_text(content, encoding="utf-8")

    return write


def linked(workshop: Workshop) -> None:
    index = workshop.patches / "one" / "patch.yaml"
    index.rename(workshop.patches / "elsewhere.yaml")
    index.symlink_to(workshop.patches / "elsewhere.yaml")


CASES: List[object] = [
    (text("- a\n"), "a mapping is expected, not a list"),
    (text("id: one\n"), "defect, files, origin, releases, title, upstream-status, why missing"),
    (text("a: &a [1]\nb: *a\n"), "anchors"),
    (text("id: !!python/name:os.system\n"), "tags"),
    (text("id: one\nid: two\n"), "twice"),
    (text("#" + "x" * 300_000), "larger than"),
    (text("a: [\n"), "expected"),
    (linked, "symbolic link"),
    (lambda w: w.index("one", files=[target()], surprise=1), "unknown key surprise"),
    (lambda w: w.index("one", files=[target()], title=5), "title: a text is expected, not int"),
    (lambda w: w.index("one", files=[target()], why=""), "why: a text is expected"),
    (lambda w: w.index("one", files={}), "files: a list is expected, not a mapping"),
    (lambda w: w.index("one", files=[]), "at least one"),
    (lambda w: w.index("one", files=[target()], id="two"), "the folder is 'one'"),
    (lambda w: w.index("one", files=[target()], releases="latest"), "not a release (N.N.N)"),
    (lambda w: w.index("one", files=[target()], releases="1.2.0 - 1.1.0"), "empty range"),
    (files(target(), target()), "a path is listed twice"),
    (files("pkg/a.py"), "a mapping is expected, not a text"),
    (files(target(path="../x")), "leaves the tree"),
    (files(target(path="/etc/passwd")), "absolute"),
    (files(target(path=".git/config")), "inside .git"),
    (files(target(mode="120000")), "mode '120000' is not one of"),
    (files(target(mode=100644)), "a text is expected, not int (quote it)"),
    (files(target(extra=1)), "unknown key extra"),
    (files(target(releases="1.x")), "not a release"),
    (files(target(upstreamed=["abc"])), "not of the form"),
    (files(target(images=[image(), image()])), "is listed twice"),
    (files(target(images=[image(pre="x" * 40)])), "pre: 'xxx"),
    (files(target(images=[image(post=BLOB)])), "is both before and after"),
    (files(target(images=[image(sha256="no")])), "sha256: 'no'"),
    (files(target(images=[image(diff="../../x.diff")])), "diff: '../../x.diff'"),
    (files(target(images=[image(diff="/x.diff")])), "diff: '/x.diff'"),
    (files(target(images=[image(more=1)])), "unknown key more"),
    (text("series: [one, one]\n", "series.yaml"), "listed twice"),
    (text("series: [../one]\n", "series.yaml"), "not a patch id"),
    (text("series: one\n", "series.yaml"), "a list is expected"),
    (text("series: [gone]\n", "series.yaml"), "No such file"),
]


@pytest.mark.parametrize(("spoil", "words"), CASES)
def test_an_index_that_is_not_sound_is_refused(
    workshop: Workshop, spoil: Callable[[Workshop], None], words: str
) -> None:
    spoil(workshop)
    with pytest.raises(PatchMisfit) as caught:
        workshop.series()
    assert words in str(caught.value)
    assert str(workshop.patches) in str(caught.value)


def test_two_patches_may_not_make_the_same_content(tmp_path: Path) -> None:
    made = Workshop(tmp_path)
    a, b, c = lines(1, 2), lines(1, 3), lines(1, 4)
    made.patch("one", ("a.py", a, c))
    made.patch("two", ("a.py", b, c))
    with pytest.raises(PatchMisfit, match="is made both by one and by two"):
        made.series()


def test_a_patch_may_not_build_on_a_later_one(tmp_path: Path) -> None:
    made = Workshop(tmp_path)
    a, b, c = lines(1, 2), lines(1, 3), lines(1, 4)
    made.patch("one", ("a.py", b, c))
    made.patch("two", ("a.py", a, b))
    with pytest.raises(PatchMisfit, match="one builds on two, which comes later"):
        made.series()


def test_an_edited_diff_is_refused_when_it_is_used(workshop: Workshop) -> None:
    diff = workshop.patches / "one" / "0.diff"
    diff.write_bytes(diff.read_bytes().replace(b"five", b"FIVE"))
    patch = workshop.series()["one"]
    found = patch.targets[0]
    with pytest.raises(PatchMisfit, match="SHA-256"):
        next(iter(found.images.values())).read(found.path)


def test_a_diff_that_is_gone_is_named(workshop: Workshop) -> None:
    (workshop.patches / "one" / "0.diff").unlink()
    found = workshop.series()["one"].targets[0]
    with pytest.raises(PatchMisfit, match="No such file"):
        next(iter(found.images.values())).read(found.path)


def test_a_diff_for_another_path_than_the_index_says_is_refused(workshop: Workshop) -> None:
    found = workshop.series()["one"].targets[0]
    with pytest.raises(PatchMisfit, match="not those of patch.yaml"):
        next(iter(found.images.values())).read("pkg/c.py")


def test_a_choice_keeps_the_order_of_the_series_and_refuses_unknown_names(
    workshop: Workshop,
) -> None:
    series = workshop.series()
    assert [patch.id for patch in series.select(["two", "one"])] == ["one", "two"]
    with pytest.raises(UsageProblem, match="no such patch: three"):
        series.select(["one", "three"])


def test_the_shipped_series_is_sound() -> None:
    assert [patch.id for patch in load_series().patches] == [
        "working-directory",
        "decompressor",
        "decompress-once",
        "shared-checkpoints",
        "pretraining-evaluation",
        "one-dllogger",
        "accumulation-never-zero",
        "squad-shared-records",
        "squad-one-writer",
        "classifier-one-writer",
        "profile-by-rank",
        "bertprep-workers",
        "glue-addresses",
        "strict-data-script",
    ]

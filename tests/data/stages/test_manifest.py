"""A stage is whole or not there, is not done twice, and touches nothing that is not bertkit's."""

import errno
import os
import signal
import sys

import pytest

from bertkit.data.layout import DataLayout
from bertkit.data.stages.manifest import Stage, carry_out, finished, read_manifest
from bertkit.errors import BertkitError

# What the kernel is asked for while a stage is carried out; each is a moment to be killed at.
MOMENTS = ("open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "shutil.rmtree")


def stage_of(root, content="text", files=("a", "b"), inputs=None, built=None):
    def build(place):
        if built is not None:
            built.append(content)
        for name in files:
            path = place / "training" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{content} of {name}")
        return {"files": len(files)}

    return Stage(
        "a stage",
        root / "tfrecord" / "corpus",
        inputs or {"text": "0" * 64},
        {"content": content, "files": list(files)},
        build,
    )


def files_below(directory):
    return {
        path.relative_to(directory).as_posix(): path.read_text()
        for path in directory.rglob("*")
        if path.is_file()
    }


def test_a_stage_that_is_done_is_not_done_again(tmp_path):
    built = []
    for _ in range(2):
        carry_out(stage_of(tmp_path, built=built), DataLayout(tmp_path))
    assert built == ["text"]


def test_the_manifest_says_what_the_stage_is(tmp_path):
    stage = stage_of(tmp_path)
    carry_out(stage, DataLayout(tmp_path))
    manifest = read_manifest(DataLayout.manifest(stage.output))
    assert manifest.inputs == {"text": "0" * 64}
    assert manifest.settings == {"content": "text", "files": ["a", "b"]}
    assert manifest.counts == {"files": 2}
    assert manifest.outputs["training/a"]["bytes"] == len("text of a")
    assert files_below(stage.output) == {"training/a": "text of a", "training/b": "text of b"}


def test_a_stage_that_fails_gives_back_its_room_and_leaves_what_was_there(tmp_path):
    layout, stage = DataLayout(tmp_path), stage_of(tmp_path)
    carry_out(stage, layout)
    before = files_below(stage.output)

    def fill(place):
        place.write_bytes(b"x" * 10_000)
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        carry_out(stage._replace(settings={"content": "other"}, build=fill), layout)
    assert not list(layout.staging.iterdir())
    assert files_below(stage.output) == before
    assert carry_out(stage, layout)[1]


@pytest.mark.parametrize("change", ["settings", "inputs", "byte", "missing", "manifest"])
def test_a_stage_that_does_not_fit_its_manifest_is_done_again(tmp_path, change):
    layout, built = DataLayout(tmp_path), []
    first = stage_of(tmp_path)
    carry_out(first, layout)
    second = stage_of(tmp_path, built=built)
    if change == "settings":
        second = stage_of(tmp_path, content="other", built=built)
    elif change == "inputs":
        second = stage_of(tmp_path, inputs={"text": "1" * 64}, built=built)
    elif change == "byte":
        (first.output / "training" / "a").write_text("text of b")
    elif change == "missing":
        (first.output / "training" / "a").unlink()
    else:
        manifest = layout.manifest(first.output)
        manifest.write_text(manifest.read_text().replace('"counts"', '"count"'))
        for path in first.output.rglob("*"):  # whose files these are is not known now
            if path.is_file():
                path.unlink()
    assert finished(second) is None
    carry_out(second, layout)
    assert len(built) == 1
    assert finished(second) is not None


def test_fewer_files_than_before_leave_none_of_the_old_ones(tmp_path):
    layout = DataLayout(tmp_path)
    carry_out(stage_of(tmp_path, files=("a", "b", "c")), layout)
    carry_out(stage_of(tmp_path, files=("a",)), layout)
    assert set(files_below(tmp_path / "tfrecord" / "corpus")) == {"training/a"}


@pytest.mark.parametrize("before", [True, False])
def test_files_that_bertkit_did_not_make_are_left_alone(tmp_path, before):
    layout = DataLayout(tmp_path)
    if before:
        carry_out(stage_of(tmp_path), layout)
    foreign = tmp_path / "tfrecord" / "corpus" / "training" / "mine.tfrecord"
    foreign.parent.mkdir(parents=True, exist_ok=True)
    foreign.write_text("days of work")
    with pytest.raises(BertkitError, match="mine.tfrecord"):
        carry_out(stage_of(tmp_path, content="other"), layout)
    assert foreign.read_text() == "days of work"


def test_an_error_while_building_leaves_the_old_result(tmp_path):
    layout = DataLayout(tmp_path)
    carry_out(stage_of(tmp_path), layout)

    def fail(place):
        place.mkdir()
        (place / "half").write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        carry_out(stage_of(tmp_path, content="other")._replace(build=fail), layout)
    assert finished(stage_of(tmp_path)) is not None


def killed_at(moment, action):
    """Run *action* in a child that is killed at its n-th *moment*; true if it was killed."""
    child = os.fork()
    if child == 0:
        left = [moment]

        def hook(event, _):
            if event in MOMENTS:
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        try:
            sys.addaudithook(hook)
            action()
            os._exit(0)
        except BaseException:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


@pytest.mark.parametrize("history", ["first", "again", "changed since"])
def test_a_kill_at_any_moment_loses_nothing_and_the_next_run_ends_the_work(tmp_path, history):
    for moment in range(1, 1000):
        root = tmp_path / str(moment)
        layout = DataLayout(root)
        if history != "first":
            carry_out(stage_of(root, content="old", files=("a", "old")), layout)
        killed = killed_at(moment, lambda: carry_out(stage_of(root), layout))  # noqa: B023
        corpus = root / "tfrecord" / "corpus"
        assert set(files_below(corpus)) in (
            set(),
            {"training/a", "training/old"},
            {"training/a", "training/b"},
        )
        wanted = (
            stage_of(root, content="new", files=("c",))
            if history == "changed since"
            else stage_of(root)
        )
        carry_out(wanted, layout)
        assert finished(wanted) is not None
        assert not list(layout.staging.iterdir())
        if not killed:
            break
    assert moment > 10


def test_two_kills_in_a_row_lose_nothing_either(tmp_path):
    for first in range(1, 40, 6):
        for second in range(1, 40, 6):
            root = tmp_path / f"{first}-{second}"
            layout = DataLayout(root)
            carry_out(stage_of(root, content="old", files=("a", "old")), layout)
            killed_at(first, lambda: carry_out(stage_of(root), layout))  # noqa: B023
            other = stage_of(root, content="other", files=("c", "d"))
            killed_at(second, lambda: carry_out(other, layout))  # noqa: B023
            carry_out(stage_of(root), layout)
            assert files_below(root / "tfrecord" / "corpus") == {
                "training/a": "text of a",
                "training/b": "text of b",
            }

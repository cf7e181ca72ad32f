"""Killed at any moment, the next command finds the tree whole: all of it old, or all new."""

from __future__ import annotations

import errno
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import List

import pytest

from bertkit.blobs import blob_id
from bertkit.errors import EnvironmentUnfit, PatchMisfit
from bertkit.patching import apply_series, journal, recover, states, unapply_series
from bertkit.upstream.lock import differences, read_lock
from tests.patching.builder import RELEASE, Workshop
from tests.patching.conftest import A_TWO, A

# Runs one operation in a process that kills itself, as hard as a power switch, just before its
# N-th call to the file system that could change something; prints how many there were if it lives.
CHILD = """
import builtins, os, pathlib, shutil, signal, sys
from pathlib import Path
from bertkit.patching import apply_series, load_series, unapply_series
from bertkit.patching import apply, journal, unapply

tree, patches = Path(sys.argv[1]), Path(sys.argv[2])
operation, limit = sys.argv[3], int(sys.argv[4])
series = load_series(patches)
calls = 0

def watched(name, module):
    original = getattr(module, name)
    def wrapper(*args, **kwargs):
        global calls
        calls += 1
        if calls == limit:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args, **kwargs)
    setattr(module, name, wrapper)

for name in "mkdir replace rename unlink rmdir fsync fchmod open ftruncate".split():
    watched(name, os)
for name in ("mkdir", "replace", "unlink", "open"):
    watched(name, pathlib.Path)
watched("_stage", journal)

if operation == "apply":
    apply_series(tree, "1.13.0", series)
else:
    unapply_series(tree, series)
print(calls)
"""


@pytest.fixture
def ready(workshop: Workshop) -> Workshop:
    workshop.lock()
    return workshop


def run(workshop: Workshop, operation: str, limit: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", CHILD, str(workshop.tree), str(workshop.patches), operation,
         str(limit)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def is_whole(workshop: Workshop, old: object, new: object) -> bool:
    """Whether the tree is all old or all new, the lock agrees, and nothing is left over."""
    contents = workshop.contents()
    assert contents in (old, new), "a mixture"
    lock = read_lock(workshop.tree)
    assert differences(workshop.tree, lock) == []
    assert (len(lock.patches) == 2) == ((workshop.tree / "pkg/a.py").read_bytes() == A_TWO)
    left = {path.name for path in (workshop.tree / ".bertkit").iterdir()}
    assert left <= {"lock.json", "patching.lock"}
    return True


@pytest.mark.parametrize("operation", ["apply", "unapply"])
def test_a_kill_before_any_single_step_is_repaired(ready: Workshop, operation: str) -> None:
    pristine = ready.contents()
    apply_series(ready.tree, RELEASE, ready.series())
    patched = ready.contents()
    if operation == "apply":
        unapply_series(ready.tree, ready.series())
    old, new = (pristine, patched) if operation == "apply" else (patched, pristine)
    step = 0
    killed = outcomes_old = outcomes_new = 0
    while True:
        step += 1
        result = run(ready, operation, step)
        if result.returncode == 0:
            break
        assert result.returncode == -signal.SIGKILL, result.stderr
        killed += 1
        recover(ready.tree)
        assert is_whole(ready, old, new)
        if ready.contents() == old:
            outcomes_old += 1
        else:
            outcomes_new += 1
            back = unapply_series if operation == "apply" else None
            if back is not None:
                back(ready.tree, ready.series())
            else:
                apply_series(ready.tree, RELEASE, ready.series())
    # Both sides of the deciding rename were met, and every step was tried.
    assert killed == int(result.stdout)
    assert outcomes_old > 5
    assert outcomes_new > 5


def test_random_kills_of_real_commands_always_leave_a_right_state(ready: Workshop) -> None:
    pristine = ready.contents()
    apply_series(ready.tree, RELEASE, ready.series())
    patched = ready.contents()
    chance = random.Random(20240101)
    loop = (
        "import sys\nfrom pathlib import Path\n"
        "from bertkit.patching import apply_series, load_series, unapply_series\n"
        "tree, series = Path(sys.argv[1]), load_series(Path(sys.argv[2]))\n"
        "print('go', flush=True)\n"
        "while True:\n"
        "    apply_series(tree, '1.13.0', series)\n"
        "    unapply_series(tree, series)\n"
    )
    seen: List[bool] = []
    interrupted = 0
    for _ in range(60):
        process = subprocess.Popen(
            [sys.executable, "-c", loop, str(ready.tree), str(ready.patches)],
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"go\n"
        time.sleep(chance.uniform(0.0, 0.05))
        process.kill()
        process.wait()
        process.stdout.close()
        interrupted += recover(ready.tree)
        assert is_whole(ready, pristine, patched)
        seen.append(ready.contents() == patched)
    assert interrupted > 0


class PowerCut(BaseException):
    """Stands for a kill at a chosen place."""


def half_done(workshop: Workshop) -> Path:
    """Stop an apply right after its plan was put down; the path of the plan."""

    def cut(*_: object) -> None:
        raise PowerCut

    with pytest.MonkeyPatch.context() as patching:
        patching.setattr(journal, "_finish", cut)
        with pytest.raises(PowerCut):
            apply_series(workshop.tree, RELEASE, workshop.series())
    return workshop.tree / ".bertkit/journal/plan.json"


def test_recovery_without_an_interruption_touches_nothing(workshop: Workshop) -> None:
    assert recover(workshop.tree) is False
    assert not (workshop.tree / ".bertkit").exists()


def test_every_operation_repairs_first(ready: Workshop) -> None:
    half_done(ready)
    apply_series(ready.tree, RELEASE, ready.series())
    assert {p.state for p in states(ready.tree, RELEASE, ready.series())} == {"applied"}
    assert not (ready.tree / ".bertkit/journal").exists()


def test_a_full_disk_leaves_the_tree_and_nothing_else(
    ready: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = ready.contents()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(journal, "write_json", full)
    with pytest.raises(EnvironmentUnfit) as caught:
        apply_series(ready.tree, RELEASE, ready.series())
    assert caught.value.why == "No space left on device"
    assert is_whole(ready, before, before)


def test_an_edit_after_the_interruption_is_kept_and_named(ready: Workshop) -> None:
    half_done(ready)
    edited = A + b"mine\n"
    ready.file("pkg/a.py", edited)
    before = ready.contents()
    with pytest.raises(PatchMisfit, match=r"pkg/a\.py was edited since") as caught:
        recover(ready.tree)
    assert ready.contents() == before
    assert f"git -C {ready.tree} checkout -- pkg/a.py" in str(caught.value)
    ready.file("pkg/a.py", A)
    assert recover(ready.tree) is True
    assert (ready.tree / "pkg/a.py").read_bytes() == A_TWO


@pytest.mark.parametrize(
    "path", ["../victim", "/absolute/victim", ".git/config", "pkg/../../victim", "link/victim"]
)
def test_a_journal_that_came_with_the_tree_writes_nowhere_else(
    workshop: Workshop, path: str, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (workshop.tree / "link").symlink_to(tmp_path)
    config = (workshop.tree / ".git/config").read_bytes()
    forged = workshop.tree / ".bertkit/journal"
    forged.mkdir(parents=True)
    (forged / "0.new").write_bytes(b"evil")
    entry = {"path": path, "before": blob_id(b"precious"), "after": blob_id(b"evil")}
    (forged / "plan.json").write_text(json.dumps({"schema": 1, "files": [entry], "lock": False}))
    with pytest.raises(PatchMisfit):
        recover(workshop.tree)
    assert victim.read_bytes() == b"precious"
    assert (workshop.tree / ".git/config").read_bytes() == config


@pytest.mark.parametrize(
    "plan",
    ["", "[]", "{}", '{"schema": 2, "files": [], "lock": false}', '{"schema": 1, "files": [1]}',
     '{"schema": 1, "files": [{"path": 1, "before": "", "after": ""}], "lock": true}'],
)  # fmt: skip
def test_a_plan_that_is_none_is_refused(workshop: Workshop, plan: str) -> None:
    forged = workshop.tree / ".bertkit/journal"
    forged.mkdir(parents=True)
    (forged / "plan.json").write_text(plan)
    before = workshop.contents()
    with pytest.raises(PatchMisfit, match="journal of an interrupted change cannot be used"):
        recover(workshop.tree)
    assert workshop.contents() == before


def test_a_prepared_file_of_another_content_is_not_put_in_place(ready: Workshop) -> None:
    plan = half_done(ready)
    (plan.parent / "0.new").write_bytes(b"evil")
    before = ready.contents()
    with pytest.raises(PatchMisfit, match="not the content that the plan names"):
        recover(ready.tree)
    assert ready.contents() == before


def test_two_at_once_wait_for_each_other(ready: Workshop) -> None:
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from bertkit.patching import apply_series, load_series\n"
        "apply_series(Path(sys.argv[1]), '1.13.0', load_series(Path(sys.argv[2])))\n"
    )
    both = [
        subprocess.Popen([sys.executable, "-c", code, str(ready.tree), str(ready.patches)],
                         stderr=subprocess.DEVNULL)
        for _ in range(4)
    ]  # fmt: skip
    assert [process.wait() for process in both] == [0] * 4
    assert (ready.tree / "pkg/a.py").read_bytes() == A_TWO
    assert differences(ready.tree, read_lock(ready.tree)) == []
    assert os.listdir(ready.tree / ".bertkit").count("journal") == 0

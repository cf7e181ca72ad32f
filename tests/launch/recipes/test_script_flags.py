from __future__ import annotations

from pathlib import Path

import pytest

from bertkit.launch.recipes import script_flags
from bertkit.resources import shipped

SCRIPT = """
from absl import flags
import TensorFlow.shared
from TensorFlow import more, absent
import tensorflow

def define():
    flags.DEFINE_string("output_dir", None, "")
    flags.DEFINE_bool(name="amp", default=True, help="")
    number, switch = flags.DEFINE_integer, flags.DEFINE_bool
    number("steps", 1, "")
    switch("resume", False, "")
    flags.DEFINE_string(NAME, None, "cannot be told from the source")
"""


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    tools = tmp_path / "TensorFlow"
    tools.mkdir()
    (tools / "shared.py").write_text("import TensorFlow.deep\nflags.DEFINE_float('rate', 1, '')\n")
    (tools / "deep.py").write_text(
        "import TensorFlow.shared\nflags.DEFINE_string('dump', '', '')\n"
    )
    (tools / "more.py").write_text("parser.add_argument('--of_another_program')\n")
    (tmp_path / "run.py").write_text(SCRIPT)
    return tmp_path


def test_the_flags_of_a_script_and_of_what_it_imports_are_read_from_the_source(repo: Path) -> None:
    found = script_flags.read(repo, "run.py")
    assert found is not None
    ours = {name for name in found.switches if name not in script_flags._OF_ABSL}
    assert ours == {"output_dir", "amp", "steps", "resume", "rate", "dump"}


def test_switches_may_be_negated_and_others_may_not(repo: Path) -> None:
    found = script_flags.read(repo, "run.py")
    assert found is not None
    assert found.knows("amp")
    assert found.knows("noamp")
    assert not found.knows("nooutput_dir")
    assert found.is_switch("noresume")
    assert not found.is_switch("steps")


def test_the_nearest_names_come_first(repo: Path) -> None:
    found = script_flags.read(repo, "run.py")
    assert found is not None
    assert found.nearest("ouput_dirs")[0] == "output_dir"
    assert found.nearest("xyzzy") == []


def test_a_script_that_uses_argparse_is_read_too(tmp_path: Path) -> None:
    (tmp_path / "run.py").write_text(
        "p.add_argument('--amp', action='store_true')\np.add_argument('--steps', type=int)\n"
        "p.add_argument('where')\n"
    )
    found = script_flags.read(tmp_path, "run.py")
    assert found is not None
    assert found.is_switch("amp")
    assert not found.is_switch("steps")
    assert not found.knows("where")


@pytest.mark.parametrize("text", ["def broken(:", "print('no flags')\n", "\0", "x = " + "(" * 999])
def test_where_no_flags_can_be_read_none_are_claimed(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.py").write_text(text)
    assert script_flags.read(tmp_path, "run.py") is None
    assert script_flags.read(tmp_path, "absent.py") is None


@pytest.mark.parametrize("script", ["run_pretraining.py", "run_classifier.py", "run_squad.py"])
def test_the_stand_ins_flags_can_be_read(script: str) -> None:
    found = script_flags.read(shipped("standin"), f"TensorFlow/nlp/bert/{script}")
    assert found is not None
    assert found.knows("init_checkpoint")
    assert found.is_switch("do_train")

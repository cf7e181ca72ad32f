"""`bertkit data` as it is called: exit codes, JSON, what it says next."""

import json
import shlex
import subprocess
import sys

import pytest


def bertkit(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "bertkit", "data", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_dry_run_says_what_would_be_made_and_changes_nothing(tmp_path):
    done = bertkit("sample", "--data", tmp_path / "d", "--dry-run", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert {stage["state"] for stage in result["stages"]} == {"would be made"}
    assert result["next"] == f"bertkit train --phase 1 --model tiny --data {tmp_path / 'd'}"
    assert "nothing about the real ones" in result["note"]
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize(
    "options",
    [[], ["--data", "d", "--shards", "7"], ["--data", "d", "--shards", "17"],
     ["--data", "d", "--workers", "0"], ["--data", "d", "--seed", "x"], ["--data", "d", "--no"]],
)  # fmt: skip
def test_a_wrong_command_line_is_a_usage_error(options):
    assert bertkit("sample", *options).returncode == 2


def test_an_unwritable_place_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    done = bertkit("sample", "--data", tmp_path / "file" / "below")
    assert done.returncode == 3
    assert "the data cannot be written" in done.stderr
    assert str(tmp_path / "file") in done.stderr
    assert "Traceback" not in done.stderr


def test_the_next_command_is_quoted_as_a_shell_needs_it(tmp_path):
    done = bertkit("sample", "--data", tmp_path / "da ta", "--dry-run", "--json")
    assert shlex.split(json.loads(done.stdout)["next"])[-1] == str(tmp_path / "da ta")
    done = bertkit("sample", "--data", tmp_path / "da ta", "--dry-run")
    assert shlex.split(done.stdout.splitlines()[-1])[-1] == str(tmp_path / "da ta")


def test_verify_of_what_has_no_data_is_exit_code_6_with_the_next_command(tmp_path):
    done = bertkit("verify", tmp_path, "--json")
    assert done.returncode == 6
    assert json.loads(done.stdout)["kind"] == "DataDamaged"
    assert "bertkit data sample --data" in done.stderr


def test_help_imports_nothing_heavy():
    script = (
        "import sys; sys.argv = ['bertkit', 'data', '--help']\n"
        "import atexit\n"
        "heavy = {'numpy', 'tokenizers', 'syntok', 'google_crc32c'}\n"
        "heavy.add('bertkit.data.samples.sample')\n"
        "atexit.register(lambda: print('heavy:', sorted(heavy & set(sys.modules))))\n"
        "from bertkit.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, check=False)
    assert b"heavy: []" in done.stdout


def test_the_data_directory_may_be_named_by_a_variable(tmp_path, monkeypatch):
    monkeypatch.setenv("BERTKIT_DATA", str(tmp_path / "named"))
    done = bertkit("status", "--json")
    assert json.loads(done.stdout)["data"] == str(tmp_path / "named")
    # a directory of records on the command line says more
    done = bertkit("pack", tmp_path / "in", "--output", tmp_path / "out")
    assert done.returncode == 6
    assert str(tmp_path / "in") in done.stderr

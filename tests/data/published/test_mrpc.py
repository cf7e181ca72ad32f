"""MRPC as GLUE splits it; byte for byte with GLUE's own script in tests/real."""

import csv
import shutil

import pytest

from bertkit.data.layout import DataLayout
from bertkit.data.stages.manifest import Stage, carry_out
from bertkit.errors import BertkitError

from .conftest import mrpc_files


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.reader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))


def test_it_is_split_by_the_dev_ids_and_says_what_comes_next(publish, run, tmp_path):
    server = publish("MRPC", mrpc_files())
    code, result, _ = run("mrpc", "--data", tmp_path)
    assert code == 0
    assert result["state"] == "made"
    assert result["counts"] == {"train": 3668, "dev": 408, "test": 1725}
    assert result["next"] == [
        f"bertkit data pretrained --data {tmp_path}",
        f"bertkit train --task mrpc --data {tmp_path} --init-checkpoint pretrained",
    ]
    sets = {name: rows_of(tmp_path / "MRPC" / f"{name}.tsv") for name in ("train", "dev", "test")}
    assert {len(row) for rows in sets.values() for row in rows} == {5}
    assert [row[1] for row in sets["dev"][1:]] == [str(n * 7) for n in range(408)]
    assert sets["train"][1] == ["1", "1", "9001", 'It "said 1', '"No" , it\u2019s 1']
    assert sets["test"][0] == ["index", "#1 ID", "#2 ID", "#1 String", "#2 String"]
    assert sets["test"][1724] == ["1723", "1723", "10723", "A 1723", "B\u00a01723"]
    again = run("mrpc", "--data", tmp_path)[1]
    assert (again["state"], again["counts"]) == ("was there", result["counts"])
    assert len(server.requests) == 3


def test_a_dry_run_asks_nobody_and_writes_nothing(publish, run, tmp_path):
    server = publish("MRPC", mrpc_files())
    code, result, _ = run("mrpc", "--data", tmp_path / "d", "--dry-run")
    assert (code, result["state"]) == (0, "would be made")
    assert result["sources"]["train"].startswith(server.url)
    assert not server.requests
    assert not (tmp_path / "d").exists()


def test_what_was_made_needs_the_downloads_no_more(publish, run, tmp_path):
    server = publish("MRPC", mrpc_files())
    run("mrpc", "--data", tmp_path)
    for path in (tmp_path / "download" / "mrpc").glob("*.t??"):
        path.unlink()
    assert run("mrpc", "--data", tmp_path)[1]["state"] == "was there"
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("name", "change", "why"),
    [
        ("dev ids", lambda content: content[: content.rindex(b"\n", 0, -1) + 1], "407 dev"),
        ("train", lambda content: content + b"1\t2\t3\n", "line 4078 has 3 columns, not 5"),
        ("test", lambda content: b"\xff" + content, "test.txt is not as it is published"),
    ],
)
def test_files_that_are_not_mrpcs_are_exit_6_and_nothing_is_made(
    publish, run, tmp_path, name, change, why
):
    files = mrpc_files()
    publish("MRPC", {**files, name: change(files[name])})
    code, result, errors = run("mrpc", "--data", tmp_path)
    assert code == result["exit_code"] == 6
    assert why in errors
    assert not (tmp_path / "MRPC").exists()


def test_an_altered_source_is_exit_6_and_an_unreachable_one_exit_1(publish, run, tmp_path):
    server = publish("MRPC", mrpc_files())
    path = "/mrpc/msr_paraphrase_test.txt"
    content = server.files.pop(path)
    code, _, errors = run("mrpc", "--data", tmp_path)
    assert code == 1
    assert f"{server.url}{path}: 403 Forbidden" in errors
    server.files[path] = content[:-1] + b"x"
    assert run("mrpc", "--data", tmp_path)[0] == 6
    server.files[path] = content
    assert run("mrpc", "--data", tmp_path)[0] == 0
    assert server.requests.count("/mrpc/msr_paraphrase_train.txt") == 1  # it was there already


def test_files_of_ones_own_are_found_by_option_and_by_variable(publish, run, tmp_path, monkeypatch):
    server = publish("MRPC", mrpc_files())
    for path, content in list(server.files.items()):
        (tmp_path / path.rpartition("/")[2]).write_bytes(content)
    assert run("mrpc", "--data", tmp_path / "a", "--from", tmp_path)[0] == 0
    monkeypatch.setenv("BERTKIT_MIRROR", str(tmp_path))
    assert run("mrpc", "--data", tmp_path / "b")[0] == 0
    assert not server.requests
    monkeypatch.setenv("BERTKIT_MIRROR", str(tmp_path / "nowhere"))
    assert run("mrpc", "--data", tmp_path / "c")[0] == 2


def test_it_takes_the_place_of_the_sample_and_not_the_other_way_round(
    publish, run, sample, tmp_path
):
    layout = DataLayout(tmp_path)
    shutil.copytree(str(DataLayout(sample).mrpc), str(layout.mrpc))
    shutil.copy(str(layout.manifest(DataLayout(sample).mrpc)), str(tmp_path))
    publish("MRPC", mrpc_files())
    assert run("mrpc", "--data", tmp_path)[1]["counts"]["train"] == 3668
    assert not (layout.mrpc / "README.txt").exists()  # which says that it is not the real one
    with pytest.raises(BertkitError, match="did not make for it"):
        carry_out(Stage("MRPC", layout.mrpc, {}, {}, lambda place: {}), layout)

"""SQuAD as it is published, with its questions counted."""

import json

import pytest

from bertkit.data.published.squad import questions_in
from bertkit.errors import DataDamaged

from .conftest import squad_file

FILES = {"train": squad_file(87599), "dev": squad_file(10570)}


def test_both_files_come_and_are_counted(publish, run, tmp_path):
    publish("SQUAD", FILES)
    code, result, _ = run("squad", "--data", tmp_path)
    assert (code, result["counts"]) == (0, {"train": 87599, "dev": 10570})
    assert (tmp_path / "SQuAD" / "dev-v1.1.json").read_bytes() == FILES["dev"]
    assert result["next"][-1].startswith(f"bertkit train --task squad --data {tmp_path} ")


def test_another_number_of_questions_is_exit_6(publish, run, tmp_path):
    publish("SQUAD", {**FILES, "dev": squad_file(10569)})
    code, _, errors = run("squad", "--data", tmp_path)
    assert code == 6
    assert "10,569 dev, not 10,570" in errors
    assert not (tmp_path / "SQuAD").exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda squad: squad.pop("data"),
        lambda squad: squad.update(version="v2.0"),
        lambda squad: squad["data"].append(3),
        lambda squad: squad["data"][0]["paragraphs"][0].update(context=""),
        lambda squad: squad["data"][0]["paragraphs"][0]["qas"][0].update(answers=[]),
        lambda squad: squad["data"][0]["paragraphs"][0]["qas"][0].update(answers=[{"text": "a"}]),
    ],
)
def test_a_file_in_another_form_is_damaged(tmp_path, change):
    squad = json.loads(squad_file(2))
    change(squad)
    (tmp_path / "x.json").write_text(json.dumps(squad))
    with pytest.raises(DataDamaged, match="not in the form of SQuAD 1.1"):
        questions_in(tmp_path / "x.json")


@pytest.mark.parametrize("content", [b"", b"<html>", b"[]", b"\xff\xfe", squad_file(3)[:-9]])
def test_what_is_no_json_is_damaged(tmp_path, content):
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(DataDamaged):
        questions_in(tmp_path / "x.json")

"""The Stanford Question Answering Dataset, version 1.1, as it is published."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Dict

from bertkit.data.published import addresses
from bertkit.data.published.prepare import Asked, Prepared, expect, prepare
from bertkit.data.stages.manifest import Stage
from bertkit.errors import DataDamaged
from bertkit.files import write_atomic

#: questions
SIZES = {"train": 87599, "dev": 10570}


def have_squad(asked: Asked) -> Prepared:
    """``DATA/SQuAD`` with train-v1.1.json and dev-v1.1.json.

    Raises:
        DownloadFailed, DataDamaged, EnvironmentUnfit: it cannot be had; the message says why.
    """
    files = {name: asked.downloads / each.place for name, each in addresses.SQUAD.items()}

    def stage_of(sums: Dict[str, str]) -> Stage:
        return Stage(
            "SQuAD of Stanford", asked.layout.squad, sums, {"version": "1.1"},
            lambda place: take_over(files, place), supersedes=("SQuAD",),
        )  # fmt: skip

    return prepare(asked, addresses.SQUAD, stage_of)


def take_over(files: Dict[str, Path], output: Path) -> Dict[str, int]:
    """Copy the two files into the directory *output*, which is made; gives their questions.

    Raises:
        DataDamaged: a file is not SQuAD's, or has more or fewer questions than published.
    """
    counts = {name: questions_in(path) for name, path in files.items()}
    expect(counts, SIZES, files["train"].parent)
    output.mkdir()
    for path in files.values():
        write_atomic(output / path.name, path.read_bytes())
    return counts


def questions_in(path: Path) -> int:
    """The questions in a file of SQuAD's form, each with an answer that stands in its passage.

    Raises:
        DataDamaged: it has not that form.
    """
    count = 0
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["version"] != "1.1":
            raise ValueError(f"its version is {content['version']!r}, not '1.1'")
        for article in content["data"]:
            for paragraph in article["paragraphs"]:
                for question in paragraph["qas"]:
                    _look_at(question, paragraph["context"])
                    count += 1
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise DataDamaged(
            f"{path.name} is not in the form of SQuAD 1.1",
            where=path,
            why=f"it has no {error}" if isinstance(error, KeyError) else str(error),
            next_step=f"move it and {path.name}.pin.json away and run this again",
        ) from None
    return count


def _look_at(question: Dict[str, object], context: str) -> None:
    answers = question["answers"]
    if not isinstance(answers, list) or not answers or not question["question"]:
        raise ValueError(f"question {question['id']} has no answer")
    for answer in answers:
        start, text = answer["answer_start"], answer["text"]
        if start < 0 or start + len(text) > len(context):
            raise ValueError(f"an answer of question {question['id']} lies outside its passage")

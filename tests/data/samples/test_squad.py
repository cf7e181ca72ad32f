"""The small SQuAD has the form of v1.1, and answers stand where they are said to."""

import json

import pytest

from bertkit.data.chance import seeded
from bertkit.data.layout import DataLayout
from bertkit.data.samples.squad import passage_questions, questions


@pytest.fixture(scope="module", params=["train", "dev"])
def content(request, sample):
    path = DataLayout(sample).squad / f"{request.param}-v1.1.json"
    return request.param, json.loads(path.read_text(encoding="utf-8"))


def test_the_json_has_the_form_of_v1_1(content):
    name, squad = content
    assert set(squad) == {"data", "version"}
    assert squad["version"] == "1.1"
    count = 0
    for article in squad["data"]:
        assert set(article) == {"title", "paragraphs"}
        for paragraph in article["paragraphs"]:
            assert set(paragraph) == {"context", "qas"}
            for question in paragraph["qas"]:
                assert set(question) == {"answers", "question", "id"}
                count += 1
    assert count == {"train": 400, "dev": 100}[name]


def test_every_answer_stands_at_its_start_and_nowhere_else(content):
    for article in content[1]["data"]:
        for paragraph in article["paragraphs"]:
            for question in paragraph["qas"]:
                (answer,) = question["answers"]
                start, text = answer["answer_start"], answer["text"]
                assert paragraph["context"][start : start + len(text)] == text
                assert paragraph["context"].count(text) == 1
                assert text not in question["question"]


def test_ids_are_unique(content):
    ids = [q["id"] for a in content[1]["data"] for p in a["paragraphs"] for q in p["qas"]]
    assert len(set(ids)) == len(ids)


def test_it_says_that_it_is_not_the_real_one(sample):
    readme = (DataLayout(sample).squad / "README.txt").read_text()
    assert readme.startswith("This is not the Stanford Question Answering Dataset.")


def test_a_question_leaves_out_a_year_or_a_name():
    paragraph = passage_questions(
        ["The club was founded by a small group in 1990.", "It was led by Jane Doe for years."], "n"
    )
    assert [(q["question"], q["answers"][0]) for q in paragraph["qas"]] == [
        (
            "Which words are missing: The club was founded by a small group in _____.",
            {"answer_start": 41, "text": "1990"},
        ),
        (
            "Which words are missing: It was led by _____ for years.",
            {"answer_start": 61, "text": "Jane Doe"},
        ),
    ]


def test_an_answer_that_stands_twice_is_not_asked_for():
    assert passage_questions(["It began in 1990 and then in all ended in 1990."], "n") is None


def test_little_text_gives_few_questions():
    assert questions([], 10, "train", seeded(1)) == {"data": [], "version": "1.1"}

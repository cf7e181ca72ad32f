"""`verify` reads the text of all stages and says which file is not as it should be."""

import json

import pytest

from bertkit.data.layout import DataLayout
from bertkit.data.stages.manifest import Manifest, describe_files, write_manifest
from bertkit.data.verify import verify_everything
from bertkit.data.wikipedia.verify import verify_text
from bertkit.errors import DataDamaged

DOCUMENTS = """<doc id="1" title="A">
A

One. Two.
</doc>
<doc id="2" title="B">
B

X.
</doc>
"""
ARTICLES = "One. Two.\n\nX.\n\n"
SENTENCES = "One.\nTwo.\n\nX.\n\n"


@pytest.fixture
def layout(tmp_path):
    """Two articles in all three forms, each with its manifest."""
    layout = DataLayout(tmp_path)
    files = {
        layout.extracted / "AA/wiki_00": DOCUMENTS,
        layout.formatted: ARTICLES,
        layout.sharded / layout.shard_name("training", 0): SENTENCES,
        layout.sharded / layout.shard_name("test", 0): SENTENCES,
    }
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    note(layout, "extracted", layout.extracted, {"articles": 2})
    note(layout, "articles", layout.formatted, {"articles": 2})
    note(layout, "sentences", layout.sharded, {"articles": 4, "sentences": 6})
    return layout


def note(layout, stage, place, counts):
    manifest = Manifest(stage, {}, {}, counts, describe_files(place))
    write_manifest(layout.manifest(place), manifest, {})


def without_manifests(layout):
    for path in layout.root.rglob("*.manifest.json"):
        path.unlink()


def told(layout):
    return [
        (each.stage, each.files, each.articles, each.sentences, each.compared_with)
        for each in verify_text(layout.root, workers=1)
    ]


def test_text_is_counted_and_compared_with_its_manifests(layout):
    assert told(layout) == [
        ("extracted", 1, 2, 0, "manifest"),
        ("articles", 1, 2, 0, "manifest"),
        ("sentences", 2, 4, 6, "manifest"),
    ]
    without_manifests(layout)
    assert {each[-1] for each in told(layout)} == {"nothing"}


def test_text_is_enough_where_records_come_later(layout):
    found = verify_everything(layout.root)
    assert (len(found.texts), found.records, found.packs) == (3, [], [])
    (layout.root / "tfrecord").mkdir()
    with pytest.raises(DataDamaged):
        verify_everything(layout.root)


def test_articles_of_another_tool_may_be_empty_and_those_of_bertkit_not(layout):
    layout.formatted.write_text("\n\n" + ARTICLES)
    note(layout, "articles", layout.formatted, {"articles": 2})
    with pytest.raises(DataDamaged, match="article of line 1 is empty"):
        verify_text(layout.root)
    without_manifests(layout)
    assert told(layout)[1] == ("articles", 1, 2, 0, "nothing")


@pytest.mark.parametrize(
    ("place", "content", "why"),
    [
        ("extracted", DOCUMENTS.replace("</doc>\n", "", 1), "line 1 does not end before line 5"),
        ("extracted", DOCUMENTS[: -len("</doc>\n")], "document of line 6 does not end"),
        ("extracted", DOCUMENTS + "more\n", "line 11 is in no document"),
        ("formatted", ARTICLES.replace("\n\n", "\n", 1), "no empty line between .* before line 2"),
        ("formatted", ARTICLES[:-1], "behind its last article"),
        ("formatted", ARTICLES[:-3], "line 3 does not end"),
        ("sharded", SENTENCES[:-1], "behind its last article"),
        ("sharded", SENTENCES.replace("Two.", "Tw\udce9."), "line 2 is not UTF-8"),
    ],
)
def test_broken_text_is_named_with_its_line_whoever_made_it(layout, place, content, why):
    path = getattr(layout, place)
    path = path if path.is_file() else sorted(each for each in path.rglob("*") if each.is_file())[0]
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    without_manifests(layout)
    with pytest.raises(DataDamaged, match=why) as caught:
        verify_text(layout.root, workers=1)
    assert str(path) in str(caught.value)


def missing(path):
    path.unlink()


def foreign(path):
    path.with_name("mine.txt").write_text(SENTENCES)


def altered(path):
    path.write_text(SENTENCES.replace("Two", "Few"))


@pytest.mark.parametrize(
    ("harm", "why"),
    [(missing, "missing"), (foreign, "does not list it"), (altered, "SHA-256 is not the one")],
)
def test_files_are_those_of_the_manifest(layout, harm, why):
    harm(layout.sharded / layout.shard_name("test", 0))
    with pytest.raises(DataDamaged, match=why) as caught:
        verify_text(layout.root, workers=1)
    assert "data status" in caught.value.next_step


def test_counts_are_those_of_the_manifest(layout):
    path = layout.manifest(layout.sharded)
    content = json.loads(path.read_text())
    content["counts"]["sentences"] += 1
    path.write_text(json.dumps(content))
    with pytest.raises(DataDamaged, match="6 sentences, 7 by its manifest"):
        verify_text(layout.root, workers=1)

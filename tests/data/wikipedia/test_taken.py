"""A stage goes on from text that lies there, whoever made it."""

import shutil

import pytest

from bertkit.data.layout import DataLayout
from bertkit.data.stages.manifest import read_manifest
from bertkit.data.wikipedia.taken import text_there
from bertkit.errors import DataDamaged

from ..conftest import bytes_below


@pytest.fixture
def layout(sample, tmp_path):
    """The sample's text and vocabulary, as another tool would leave them."""
    layout, made = DataLayout(tmp_path / "data"), DataLayout(sample)
    for place in ("extracted", "formatted_one_article_per_line", "sharded", "vocab"):
        shutil.copytree(str(made.root / place), str(layout.root / place))
    for manifest in layout.root.rglob("*.manifest.json"):
        manifest.unlink()
    return layout


@pytest.mark.parametrize("stage", ["extracted", "articles", "sentences"])
def test_it_is_what_the_manifest_of_the_same_files_says(layout, sample, stage):
    made = DataLayout(sample)
    places = {"extracted": made.extracted, "articles": made.formatted, "sentences": made.sharded}
    manifest = read_manifest(made.manifest(places[stage]))
    assert text_there(layout, stage).fingerprint == manifest.fingerprint


@pytest.mark.parametrize("stage", ["extracted", "articles", "sentences"])
def test_no_text_is_named_with_what_makes_it(tmp_path, stage):
    with pytest.raises(DataDamaged, match="no text to go on from") as caught:
        text_there(DataLayout(tmp_path), stage)
    assert "--until" in caught.value.next_step


@pytest.mark.parametrize("harm", ["missing", "empty", "foreign"])
def test_shards_with_a_gap_are_no_set_of_shards(layout, harm):
    path = layout.sharded / layout.shard_name("training", 3)
    if harm == "missing":
        path.unlink()
    elif harm == "empty":
        path.write_bytes(b"")
    else:
        path.rename(path.with_name("mine.txt"))
    with pytest.raises(DataDamaged, match="not numbered from 0"):
        text_there(layout, "sentences")


def test_bertkit_goes_on_from_each_stage_to_the_same_records(layout, sample):
    from bertkit.data.wiki import Wanted, make_wiki

    whole = bytes_below(sample)
    for start in ("records", "shard", "format"):
        wanted = Wanted("records", 8, 0.1, 2, 12345, True, False, None, None, start)
        done = make_wiki(layout, None, wanted, 2, share=_alone())
        assert done[-1].counts["records"] > 0
        for name, content in bytes_below(layout.root).items():
            if name.endswith((".txt", ".tfrecord")):
                assert content == whole[name], name
        if start == "records":
            shutil.rmtree(str(layout.sharded))
        else:
            layout.formatted.unlink()


def _alone():
    from bertkit.data.stages.shares import Share

    return Share()

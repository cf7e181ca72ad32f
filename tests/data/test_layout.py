"""The names are upstream's, which its scripts and README fix."""

from pathlib import Path

from bertkit.data.layout import DataLayout

layout = DataLayout(Path("/d"))


def test_records_lie_where_upstreams_bertPrep_puts_them():
    assert layout.training_records(128) == Path("/d/tfrecord/seq_len_128/wikicorpus_en/training")
    assert layout.test_records(512) == Path("/d/tfrecord/seq_len_512/wikicorpus_en/test")
    assert layout.record_name("test", 3) == "test/wikicorpus_en_test_3.tfrecord"


def test_text_lies_where_upstreams_bertPrep_puts_it():
    formatted = "formatted_one_article_per_line/wikicorpus_en_one_article_per_line.txt"
    assert layout.formatted == Path("/d") / formatted
    assert layout.sharded == Path("/d/sharded/wikicorpus_en")
    assert layout.shard_name("training", 0) == "training/wikicorpus_en_training_0.txt"


def test_a_manifest_stands_beside_its_stage_and_not_in_it():
    stage = layout.tfrecord(128)
    assert layout.manifest(stage) == Path("/d/tfrecord/seq_len_128/wikicorpus_en.manifest.json")
    assert stage not in layout.manifest(stage).parents


def test_another_corpus_changes_directories_and_files_alike():
    books = DataLayout(Path("/d"), "books_wiki_en_corpus")
    assert books.training_records(128).parts[-2] == "books_wiki_en_corpus"
    assert books.record_name("training", 1) == "training/books_wiki_en_corpus_training_1.tfrecord"


def test_the_docstring_names_the_paths_that_recipes_carry():
    import bertkit.data.layout as module

    for path in (
        layout.training_records(128), layout.test_records(128),
        layout.training_records(512), layout.test_records(512), layout.vocab,
        layout.mrpc / "train.tsv", layout.squad / "train-v1.1.json",
    ):  # fmt: skip
        assert path.relative_to("/d").as_posix() in module.__doc__

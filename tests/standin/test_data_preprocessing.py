from __future__ import annotations

import bz2
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.standin import tasks
from tests.standin.runner import Bench

PAGE = "<page><title>{0}</title><ns>{1}</ns>{2}<revision><text>{3}</text></revision></page>"


def write_dump(path: Path) -> None:
    """12 articles with markup, a redirect and a talk page, as MediaWiki exports them."""
    rng = random.Random(4)
    pages = []
    for number in range(12):
        lines = []
        for _ in range(30):
            words = " ".join(rng.choice(tasks.NOUNS) for _ in range(9))
            lines.append(f"A '''{words}''' [[zoo|sat]]{{{{cite|{{{{x}}}}}}}}.")
        text = "== Title ==\n" + " ".join(lines) + "&lt;ref&gt;no&lt;/ref&gt;"
        pages.append(PAGE.format(number, 0, "", text))
    pages.append(PAGE.format("R", 0, '<redirect title="0" />', "a redirect to a cat"))
    pages.append(PAGE.format("Talk", 1, "", "a talk about a cat"))
    xml = '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.10/">' + "".join(pages)
    path.parent.mkdir(parents=True)
    path.write_bytes(bz2.compress((xml + "</mediawiki>").encode()))


@pytest.mark.tensorflow
def test_a_dump_becomes_records_of_both_phases(bench: Bench, tmp_path: Path) -> None:
    import tensorflow as tf

    home = tmp_path / "prepared"
    write_dump(home / "download/wikicorpus_en/wikicorpus_en.xml.bz2")
    models = home / "download/google_pretrained_weights/uncased_L-24_H-1024_A-16"
    models.mkdir(parents=True)
    vocab = tasks.write_vocab(models / "vocab.txt").read_text().splitlines()
    # bzip2 unpacks with the same options as the parallel one that upstream asks for.
    (tmp_path / "bin").mkdir()
    unpacker = shutil.which("bzip2")
    if unpacker is None:
        pytest.skip("bzip2 is needed")
    (tmp_path / "bin/lbzip2").symlink_to(unpacker)

    environment = {**bench.environment, "PYTHON": sys.executable}
    environment["PATH"] = f"{tmp_path / 'bin'}:{environment['PATH']}"
    result = subprocess.run(
        ["bash", "create_datasets_from_start.sh", "wiki_only", str(home)],
        cwd=bench.bert / "data_preprocessing",
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    assert result.returncode == 0, result.stdout

    text = (
        home / "formatted_one_article_per_line/wikicorpus_en_one_article_per_line.txt"
    ).read_text()
    assert len(text.splitlines()) == 12
    assert not set("[]{}'=<>") & set(text)
    for length, predictions in ((128, 20), (512, 80)):
        files = sorted((home / f"tfrecord/seq_len_{length}/wikicorpus_en/training").iterdir())
        assert files
        assert all(file.name.startswith("wikicorpus_en_training_") for file in files)
        labels = set()
        for record in tf.data.TFRecordDataset([str(file) for file in files]):
            feature = tf.train.Example.FromString(record.numpy()).features.feature
            ids = feature["input_ids"].int64_list.value
            mask = list(feature["input_mask"].int64_list.value)
            weights = list(feature["masked_lm_weights"].float_list.value)
            masked = feature["masked_lm_positions"].int64_list.value
            assert len(ids) == len(mask) == length
            assert len(weights) == len(masked) == predictions
            assert vocab[ids[0]] == "[CLS]"
            assert vocab[ids[sum(mask) - 1]] == "[SEP]"
            used = [ids[place] for place, weight in zip(masked, weights) if weight]
            assert used
            labels.add(feature["next_sentence_labels"].int64_list.value[0])
            hidden = [place for place, token in enumerate(ids) if vocab[token] == "[MASK]"]
            assert set(hidden) <= set(masked)
        assert labels == {0, 1}


def test_what_the_stand_in_cannot_prepare_is_refused(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    script = "data_preprocessing/bertPrep.py"
    for action, dataset in (("create_hdf5_files", "wikicorpus_en"), ("download", "bookscorpus")):
        result = bench.run(script, "--action", action, "--dataset", dataset)
        assert result.returncode == 2
        assert "invalid choice" in result.stdout

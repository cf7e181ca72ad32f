"""The catalogue: all releases, and different words for what cannot be had."""

from __future__ import annotations

import re

import pytest

from bertkit.errors import UpstreamUnavailable
from bertkit.upstream.catalogue import find, load, numbers, with_bert


def test_it_knows_every_numbered_branch_oldest_first():
    assert len(load()) == 41
    assert list(load()) == sorted(load(), key=numbers)
    assert (list(load())[0], list(load())[-1]) == ("0.13.0", "1.23.0")


def test_bert_exists_from_0_13_0_to_1_14_0():
    versions = [release.version for release in with_bert()]
    assert len(versions) == 28
    assert (versions[0], versions[-1]) == ("0.13.0", "1.14.0")


def test_every_entry_has_the_form_that_its_readers_expect():
    for version, release in load().items():
        assert release.version == version
        assert re.fullmatch(r"[0-9a-f]{40}", release.commit)
        assert re.fullmatch(r"20\d\d-\d\d-\d\d", release.date)
        for name, blob in release.files.items():
            assert re.fullmatch(r"[0-9a-f]{40}", blob), name
            assert name.startswith(("TensorFlow/nlp/bert/", "TensorFlow/common/"))


@pytest.mark.parametrize("release", with_bert(), ids=lambda release: release.version)
def test_every_bert_release_names_the_scripts_that_launchers_start(release):
    for script in ("run_classifier.py", "run_squad.py", "modeling.py", "optimization.py"):
        assert f"TensorFlow/nlp/bert/{script}" in release.files
    pretraining = [name for name in release.files if name.endswith("/run_pretraining.py")]
    assert pretraining
    assert any(name.endswith("/create_datasets_from_start.sh") for name in release.files)


def test_the_release_of_the_users_page_is_known_in_full():
    release = find("1.13.0")
    assert release.commit == "64bc1310065aa41626901fddef0ae535c6e3e794"
    assert release.tensorflow == ("2.13.1",)
    assert release.python == ("3.8", "3.10")
    blob = release.files["TensorFlow/nlp/bert/data_preprocessing/WikiDownloader.py"]
    assert blob == "18146060ff6bbbab529b8625a839d1e29903e827"


@pytest.mark.parametrize(
    "text", ["", "1.13", "1.13.0.1", "v1.13.0", "1.13.0 ", "1.13.0\n", "--x", "master", "１.２.３"]
)
def test_what_is_not_written_like_a_release_is_said_to_be_so(text):
    with pytest.raises(UpstreamUnavailable, match="is not the name of a SynapseAI release"):
        find(text)


@pytest.mark.parametrize(
    ("version", "near"),
    [
        ("1.13.7", "1.12.1, 1.13.0, 1.14.0"),
        ("9.0.0", "1.12.1, 1.13.0, 1.14.0"),
        ("0.1.0", "0.13.0, 0.14.0, 0.15.0"),
        ("1.4.2", "1.4.0, 1.4.1, 1.5.0"),
    ],
)
def test_an_unknown_release_is_answered_with_the_nearest(version, near):
    with pytest.raises(UpstreamUnavailable, match=f"release {version} is not known") as caught:
        find(version)
    assert near in str(caught.value)


def test_a_release_without_bert_is_told_from_when_to_when_it_existed():
    with pytest.raises(UpstreamUnavailable, match="1.15.0 has no TensorFlow BERT") as caught:
        find("1.15.0")
    assert "from 0.13.0 to 1.14.0" in str(caught.value)
    assert caught.value.exit_code == 5

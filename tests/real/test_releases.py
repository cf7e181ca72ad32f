"""The catalogue and ``prepare-repo`` against all 28 real releases."""

from __future__ import annotations

import pytest

from bertkit.prepare import prepare
from bertkit.upstream.catalogue import load, with_bert
from bertkit.upstream.checkout import differing, fetch
from bertkit.upstream.lock import differences, read_lock
from bertkit.upstream.scan import scan
from bertkit.upstream.source import checked

pytestmark = pytest.mark.real

RELEASES = pytest.mark.parametrize("release", with_bert(), ids=lambda release: release.version)


def test_every_catalogued_branch_is_there(upstream_url):
    found = scan(checked(upstream_url, "test"))
    assert found.gone == ()
    assert found.known + len(found.moved) == len(load())


@RELEASES
def test_the_catalogue_is_what_the_repository_has(release, upstream_url, tmp_path):
    fetched = fetch(checked(upstream_url, "test"), release, tmp_path)
    assert fetched.commit == release.commit
    assert differing(tmp_path, release) == []
    catalogued = {
        str(path.relative_to(tmp_path))
        for path in (tmp_path / "TensorFlow/nlp/bert").rglob("*")
        if path.suffix in (".py", ".sh", ".json") or path.name == "requirements.txt"
    }
    assert catalogued <= set(release.files)


@RELEASES
def test_prepare_repo_makes_a_patched_checkout(release, upstream_url, tmp_path):
    wish = {
        "synapse_version": release.version,
        "upstream": upstream_url,
        "destination": tmp_path / "tree",
    }
    result = prepare(**wish)
    assert result.commit == release.commit
    assert result.changed
    lock = read_lock(tmp_path / "tree")
    assert differences(tmp_path / "tree", lock) == []
    touched = set(lock.expected_files())
    assert set(differing(tmp_path / "tree", release)) == touched & set(release.files)
    assert not prepare(**wish).changed

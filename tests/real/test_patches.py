"""Every shipped patch on every real release: 28 trees, from their real contents."""

from __future__ import annotations

import ast
import bz2
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Dict

import pytest

from bertkit.blobs import blob_id
from bertkit.patching import apply_series, load_series, states, unapply_series
from bertkit.patching.chain import APPLICABLE, walk
from bertkit.patching.matrix import matrix
from bertkit.patching.originals import head_blob
from bertkit.patching.state import paths_in
from bertkit.upstream import catalogue
from bertkit.upstream.lock import Lock, differences, read_lock, write_lock

pytestmark = pytest.mark.real

SERIES = load_series()
RELEASES = [release.version for release in catalogue.with_bert()]


class Checkout:
    """The files of one real release that the series changes, with their real modes."""

    def __init__(self, mirror: Path, release: str, directory: Path) -> None:
        self.release = release
        self.tree = directory / release
        commit = catalogue.find(release).commit
        bert = f"{commit}:TensorFlow/nlp/bert"
        archive = subprocess.run(
            ["git", "-C", str(mirror), "archive", "--format=tar",
             "--prefix=TensorFlow/nlp/bert/", bert],
            stdout=subprocess.PIPE, check=True,
        ).stdout  # fmt: skip
        self.tree.mkdir()
        subprocess.run(["tar", "-x", "-C", str(self.tree)], input=archive, check=True)
        write_lock(self.tree, Lock(url="file:///mirror", release=release, commit=commit))

    def contents(self) -> Dict[str, tuple[bytes, int]]:
        return {
            str(path.relative_to(self.tree)): (path.read_bytes(), path.stat().st_mode)
            for path in self.tree.rglob("*")
            if path.is_file() and ".bertkit" not in path.parts
        }


@pytest.fixture
def checkout(request: pytest.FixtureRequest, mirror: Path, tmp_path: Path) -> Checkout:
    return Checkout(mirror, request.param, tmp_path)


every_release = pytest.mark.parametrize("checkout", RELEASES, indirect=True)


def test_there_are_28_releases() -> None:
    assert len(RELEASES) == 28


def test_the_table_of_releases_by_patches_holds_on_the_real_contents(mirror: Path) -> None:
    for row in matrix(SERIES, mirror):
        assert row.fits, (row.release, row.problems, row.patches)


def shown(checkout: Checkout) -> Dict[str, str]:
    return {patch.id: patch.state for patch in states(checkout.tree, checkout.release, SERIES)}


def expected(release: str, state: str) -> Dict[str, str]:
    """*state* for each patch, but for those whose defect the release does not have."""
    return {
        patch.id: state if release in patch.releases else "unsupported-release"
        for patch in SERIES.patches
    }


@every_release
def test_apply_twice_and_unapply_leaves_exactly_what_was_there(checkout: Checkout) -> None:
    before = checkout.contents()
    assert shown(checkout) == expected(checkout.release, "applicable")
    apply_series(checkout.tree, checkout.release, SERIES)
    patched = checkout.contents()
    assert shown(checkout) == expected(checkout.release, "applied")
    assert differences(checkout.tree, read_lock(checkout.tree)) == []
    apply_series(checkout.tree, checkout.release, SERIES)
    assert checkout.contents() == patched
    changed = {path for path in before if before[path] != patched[path]}
    assert changed == set(paths_in(SERIES, checkout.release))
    assert {path: mode for path, (_, mode) in patched.items()} == {
        path: mode for path, (_, mode) in before.items()
    }
    unapply_series(checkout.tree, SERIES)
    assert checkout.contents() == before
    for path in changed:
        assert blob_id(before[path][0]) == catalogue.find(checkout.release).files[path]


def hunk_lines(diff: bytes) -> tuple[Counter[bytes], Counter[bytes]]:
    """The lines that a diff adds, and those that it removes."""
    lines = diff[diff.index(b"\n@@") + 1 :].split(b"\n")
    return (
        Counter(line[1:] for line in lines if line.startswith(b"+")),
        Counter(line[1:] for line in lines if line.startswith(b"-")),
    )


@every_release
def test_each_patch_can_be_had_alone(checkout: Checkout) -> None:
    before = checkout.contents()
    for patch in SERIES.patches:
        targets = {target.path for target in patch.targets_in(checkout.release)}
        carried = apply_series(checkout.tree, checkout.release, SERIES, only=[patch.id])
        assert [applied.id for applied in carried] == ([patch.id] if targets else [])
        after = checkout.contents()
        assert {path for path in before if before[path] != after[path]} == targets
        assert_parses(checkout)
        unapply_series(checkout.tree, SERIES)
        assert checkout.contents() == before


@every_release
def test_no_line_is_changed_beyond_the_patch(checkout: Checkout, tmp_path: Path) -> None:
    """git, which knows nothing of the series, sees just the lines that the diffs name."""
    every = {patch.id for patch in SERIES.patches}
    for path in paths_in(SERIES, checkout.release):
        original = tmp_path / "original"
        original.write_bytes((checkout.tree / path).read_bytes())
        added: Counter[bytes] = Counter()
        removed: Counter[bytes] = Counter()
        for outcome in walk(SERIES, checkout.release, path, blob_id(original.read_bytes()), every):
            assert outcome.state == APPLICABLE
            assert outcome.step is not None
            more, less = hunk_lines(outcome.step.image.diff.read_bytes())
            added += more
            removed += less
        apply_series(checkout.tree, checkout.release, SERIES)
        seen = subprocess.run(
            ["git", "diff", "--no-index", "--unified=0", "--no-color", "--minimal", "--",
             str(original), str(checkout.tree / path)],
            stdout=subprocess.PIPE, check=False,
        )  # fmt: skip
        unapply_series(checkout.tree, SERIES)
        git_added, git_removed = hunk_lines(seen.stdout)
        # A line that one patch adds and the next removes is in neither of git's.
        both = added & removed
        assert not git_added - (added - both) - both
        assert not git_removed - (removed - both) - both
        assert git_added - git_removed == added - removed
        assert git_removed - git_added == removed - added


@every_release
def test_what_is_patched_still_parses(checkout: Checkout) -> None:
    apply_series(checkout.tree, checkout.release, SERIES)
    assert_parses(checkout)


def assert_parses(checkout: Checkout) -> None:
    for path in paths_in(SERIES, checkout.release):
        file = checkout.tree / path
        if file.suffix == ".py":
            # The oldest grammar that ast knows and that release's Python reads.
            ast.parse(file.read_text(encoding="utf-8"), feature_version=(3, 6))
        else:
            subprocess.run(["bash", "-n", str(file)], check=True)


@every_release
def test_the_patched_downloader_decompresses_once(
    checkout: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply_series(checkout.tree, checkout.release, SERIES)
    (path,) = [p for p in paths_in(SERIES, checkout.release) if p.endswith("WikiDownloader.py")]
    served = tmp_path / "dump.xml.bz2"
    text = b"<mediawiki>\n" + b"words\n" * 5000 + b"</mediawiki>\n"
    served.write_bytes(bz2.compress(text))
    code = (
        "import sys; from WikiDownloader import WikiDownloader\n"
        "d = WikiDownloader('en', sys.argv[1]); d.download_urls['en'] = sys.argv[2]\n"
        "d.download()\n"
    )
    data = tmp_path / "data dir"
    final = data / "wikicorpus_en/wikicorpus_en.xml"
    final.parent.mkdir(parents=True)
    Path(f"{final}.bz2").write_bytes(served.read_bytes())
    command = [sys.executable, "-c", code, str(data), "http://127.0.0.1:9/none"]
    environment = {**os.environ, "PYTHONPATH": str((checkout.tree / path).parent)}
    environment["BERTKIT_BUNZIP2"] = "bzip2"
    final.write_bytes(text[:1000])  # half decompressed
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    assert final.read_bytes() == text
    inode = final.stat().st_ino
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    assert final.stat().st_ino == inode


def test_the_branch_heads_of_the_clone_are_seen(mirror: Path) -> None:
    """What ``refresh`` and ``check --mirror`` rely on: a bare clone can be asked for its files."""
    path = "TensorFlow/nlp/bert/data_preprocessing/WikiDownloader.py"
    found = head_blob(mirror, path, ref="refs/heads/1.13.0")
    assert found == catalogue.find("1.13.0").files[path]

"""The real upstream, where it can be had.

``BERTKIT_UPSTREAM``, then ``git config bertkit.upstream``, then GitHub if it answers; else every
test here is skipped with one line.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest

from bertkit.prepare import prepare
from bertkit.upstream.scan import upstream_answers
from bertkit.upstream.source import resolve

_SECONDS = 5.0


@functools.lru_cache(maxsize=1)
def _found() -> str:
    source = resolve(None, os.environ)
    if source.is_standin or not upstream_answers(source.url, within=_SECONDS):
        return ""
    return source.url


def pytest_runtest_setup(item):
    # Here and not in the fixture, so that pytest's summary has one line for all of them.
    if "upstream_url" in item.fixturenames and not _found():
        pytest.skip("no real upstream: BERTKIT_UPSTREAM can name a clone of Model-References")


@pytest.fixture(scope="session")
def upstream_url():
    """The URL of a full HabanaAI/Model-References."""
    return _found()


@pytest.fixture(scope="session")
def mirror(upstream_url: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A local clone with all branches."""
    parts = urlsplit(upstream_url)
    if parts.scheme == "file":
        return Path(url2pathname(parts.path))
    directory = tmp_path_factory.mktemp("upstream") / "mirror.git"
    subprocess.run(["git", "clone", "-q", "--mirror", upstream_url, str(directory)], check=True)
    return directory


@pytest.fixture(scope="session")
def patched(upstream_url: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Upstream 1.13.0 with all patches; copied by who changes it."""
    tree = tmp_path_factory.mktemp("patched") / "tree"
    prepare(synapse_version="1.13.0", upstream=upstream_url, destination=tree)
    return tree


@pytest.fixture(scope="session")
def sample_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `bertkit data sample` makes; copied by who adds to it."""
    pytest.importorskip("tensorflow")
    data = tmp_path_factory.mktemp("sample") / "data"
    command = [sys.executable, "-m", "bertkit", "data", "sample", "--data", str(data)]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return data


@pytest.fixture(scope="module")
def workplace(patched: Path, sample_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a checkout of upstream 1.13.0 and the sample data, of one module's own."""
    directory = tmp_path_factory.mktemp("work")
    shutil.copytree(str(patched), str(directory / "Model-References"), symlinks=True)
    shutil.copytree(str(sample_data), str(directory / "data"))
    return directory

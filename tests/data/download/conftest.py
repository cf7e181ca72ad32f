"""What the tests of downloads share: a server, a file on it, and no patience."""

import pytest

from bertkit.data.download import Patience, Remote
from tests.servers import numbered, serving

CONTENT = numbered(300_000)
PLACE = "set/file.txt"
PATH = f"/{PLACE}"


@pytest.fixture
def server():
    with serving({PATH: CONTENT}) as running:
        yield running


@pytest.fixture
def remote(server):
    return Remote(PLACE, [server.url + PATH])


@pytest.fixture
def waits():
    """The waits between attempts, instead of waiting."""
    return []


@pytest.fixture
def patience(waits):
    return Patience(
        connect=10, read=10, attempts=3, sync_bytes=1 << 15, enough_bytes=1 << 15,
        sleep=waits.append,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def _no_proxy_of_the_machine(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)

"""The patched WikiDownloader at work: a real bz2, a real HTTP server, real tools."""

from __future__ import annotations

import bz2
import http.server
import importlib.util
import shutil
import threading
from pathlib import Path
from types import ModuleType
from typing import Any, Iterator, List

import pytest

from bertkit.patching import apply_series, load_series
from bertkit.resources import shipped

XML = b"<mediawiki>\n" + b"<page>some text</page>\n" * 20_000 + b"</mediawiki>\n"
ARCHIVE = bz2.compress(XML)
SOURCE = "TensorFlow/nlp/bert/data_preprocessing/WikiDownloader.py"

pytestmark = pytest.mark.skipif(
    shutil.which("wget") is None or shutil.which("bzip2") is None,
    reason="upstream's downloader calls wget and bzip2",
)


class Server(http.server.ThreadingHTTPServer):
    """Serves one archive; can break off in the middle."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.body = ARCHIVE
        self.cut_after = len(ARCHIVE)
        self.requests: List[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/dump.xml.bz2"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.requests.append(self.path)
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body[: self.server.cut_after])

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def module(tmp_path: Path) -> ModuleType:
    """The stand-in's downloader, which has upstream's lines, with all patches."""
    tree = tmp_path / "tree"
    shutil.copytree(shipped("standin"), tree)
    apply_series(tree, "1.13.0", load_series())
    spec = importlib.util.spec_from_file_location("patched_downloader", tree / SOURCE)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


class Work:
    """A downloader that fetches from the local server, and the files that it makes."""

    def __init__(self, module: ModuleType, server: Server, directory: Path) -> None:
        self.downloader: Any = module.WikiDownloader("en", str(directory))
        self.downloader.download_urls["en"] = server.url
        self.archive = directory / "wikicorpus_en/wikicorpus_en.xml.bz2"
        self.output = directory / "wikicorpus_en/wikicorpus_en.xml"

    def names(self) -> List[str]:
        return sorted(path.name for path in self.output.parent.iterdir())


@pytest.fixture
def work(
    module: ModuleType, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Work:
    settings = tmp_path / "wgetrc"
    settings.write_text("tries = 1\ntimeout = 10\n")
    monkeypatch.setenv("WGETRC", str(settings))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("BERTKIT_BUNZIP2", raising=False)
    return Work(module, server, tmp_path / "a directory with spaces")


def test_a_fresh_run_downloads_and_decompresses(work: Work) -> None:
    work.downloader.download()
    assert work.output.read_bytes() == XML
    assert work.archive.read_bytes() == ARCHIVE
    assert work.names() == ["wikicorpus_en.xml", "wikicorpus_en.xml.bz2"]


def test_a_second_run_does_neither(work: Work, server: Server) -> None:
    work.downloader.download()
    made = work.output.stat().st_mtime_ns, work.output.stat().st_ino
    work.downloader.download()
    assert (work.output.stat().st_mtime_ns, work.output.stat().st_ino) == made
    assert len(server.requests) == 1


def test_a_download_that_breaks_off_fails_and_the_next_run_gets_the_whole(
    work: Work, server: Server
) -> None:
    server.cut_after = len(ARCHIVE) // 2
    with pytest.raises(RuntimeError, match="Wiki download not successful"):
        work.downloader.download()
    assert not work.archive.exists()
    assert not work.output.exists()
    server.cut_after = len(ARCHIVE)
    work.downloader.download()
    assert work.output.read_bytes() == XML
    assert work.names() == ["wikicorpus_en.xml", "wikicorpus_en.xml.bz2"]


def test_half_a_decompression_is_done_again(work: Work, server: Server) -> None:
    work.archive.write_bytes(ARCHIVE)
    work.output.write_bytes(XML[: len(XML) // 2])
    work.downloader.download()
    assert work.output.read_bytes() == XML
    assert server.requests == []


def test_half_a_decompression_under_the_temporary_name_is_done_again(work: Work) -> None:
    work.archive.write_bytes(ARCHIVE)
    Path(f"{work.output}.part").write_bytes(XML[:100])
    work.downloader.download()
    assert work.output.read_bytes() == XML
    assert work.names() == ["wikicorpus_en.xml", "wikicorpus_en.xml.bz2"]


def test_a_damaged_archive_never_becomes_an_output(work: Work) -> None:
    work.archive.write_bytes(ARCHIVE[:-200])
    with pytest.raises(Exception, match="returned non-zero exit status"):
        work.downloader.download()
    assert not work.output.exists()


def test_the_decompressor_named_in_the_environment_is_used(
    work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = tmp_path / "my bunzip2"
    named.write_text('#!/bin/sh\necho "$@" > "$0.called"\nexec bzip2 "$@"\n')
    named.chmod(0o755)
    monkeypatch.setenv("BERTKIT_BUNZIP2", str(named))
    work.downloader.download()
    assert work.output.read_bytes() == XML
    assert Path(f"{named}.called").read_text() == f"-dc {work.archive}\n"


@pytest.mark.parametrize(
    ("installed", "used"),
    [(["bzip2"], "bzip2"), (["bzip2", "pbzip2"], "pbzip2"), (["pbzip2", "lbzip2"], "lbzip2")],
)
def test_the_best_decompressor_that_is_installed_is_used(
    work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installed: List[str], used: str
) -> None:
    real = shutil.which("bzip2")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in installed:
        (programs / name).write_text(f'#!/bin/sh\n: > "$0.called"\nexec {real} "$@"\n')
        (programs / name).chmod(0o755)
    work.archive.write_bytes(ARCHIVE)
    monkeypatch.setenv("PATH", str(programs))
    work.downloader.download()
    assert work.output.read_bytes() == XML
    assert [path.name for path in programs.glob("*.called")] == [f"{used}.called"]


@pytest.mark.parametrize("named", ["no-such-program", ""])
def test_no_decompressor_is_said_in_words(
    work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    work.archive.write_bytes(ARCHIVE)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("BERTKIT_BUNZIP2", named)
    with pytest.raises(RuntimeError, match="not found: install lbzip2, pbzip2 or bzip2"):
        work.downloader.download()
    assert not work.output.exists()

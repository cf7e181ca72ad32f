"""The patched download of Google's checkpoints: what is needed, and nothing that is damaged."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import shutil
import zipfile
from pathlib import Path
from typing import Any, Iterator

import pytest

from bertkit.patching import apply_series, load_series
from bertkit.resources import shipped
from tests.servers import Server, serving

SOURCE = "TensorFlow/nlp/bert/data_preprocessing/GooglePretrainedWeightDownloader.py"
LARGE, BASE = "uncased_L-24_H-1024_A-16", "uncased_L-12_H-768_A-12"
VOCAB = b"[PAD]\n[UNK]\n"


def archive(name: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr(f"{name}/vocab.txt", VOCAB)
    return packed.getvalue()


@pytest.fixture
def server() -> Iterator[Server]:
    with serving({f"/{name}.zip": archive(name) for name in (LARGE, BASE)}) as running:
        yield running


@pytest.fixture
def downloader(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The stand-in's, with the patch, the server's addresses and its vocabulary's checksum."""
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("BERTKIT_PRETRAINED_WEIGHTS", raising=False)
    tree = tmp_path / "tree"
    shutil.copytree(shipped("standin"), tree)
    apply_series(tree, "1.13.0", load_series(), only=["strict-data-script"])
    spec = importlib.util.spec_from_file_location("patched_weights", tree / SOURCE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made = module.GooglePretrainedWeightDownloader(str(tmp_path / "download"))
    for model, url in made.model_urls.items():
        made.model_urls[model] = f"{server.url}/{url.rpartition('/')[2]}"
        made.model_sha[model] = {"vocab.txt": hashlib.sha256(VOCAB).hexdigest()}
    return made


def test_only_the_large_uncased_checkpoint_is_downloaded(downloader: Any, server: Server) -> None:
    downloader.download()
    assert server.requests == [f"/{LARGE}.zip"]
    assert Path(downloader.save_path, LARGE, "vocab.txt").read_bytes() == VOCAB


def test_other_checkpoints_can_be_named_in_the_environment(
    downloader: Any, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BERTKIT_PRETRAINED_WEIGHTS", "bert_base_uncased,bert_large_uncased")
    downloader.download()
    assert server.requests == [f"/{BASE}.zip", f"/{LARGE}.zip"]


def test_a_wrong_checksum_is_a_failure(downloader: Any) -> None:
    downloader.model_sha["bert_large_uncased"]["vocab.txt"] = "0" * 64
    with pytest.raises(RuntimeError, match="do not pass sha256sum verification"):
        downloader.download()

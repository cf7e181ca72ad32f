"""A prepared checkout with a script in it, data that a job needs, and a machine with Gaudis."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Callable, Dict

import pytest

from bertkit.blobs import blob_id
from bertkit.launch.plan import Request
from bertkit.launch.recipes.recipe import load
from bertkit.upstream.lock import AppliedPatch, Lock, PatchedFile, write_lock
from tests import gaudi
from tests.launch import records_of

BERT = "TensorFlow/nlp/bert"
FIXTURES = Path(__file__).parent.parent / "fixtures"


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """A checkout of 1.13.0 whose scripts print their flags, with one patched file and its lock."""
    tree = tmp_path / "Model-References"
    (tree / BERT / "bf16_config").mkdir(parents=True)
    (tree / BERT / "bf16_config" / "bert.json").write_text("{}\n")
    for name in ("run_pretraining.py", "run_classifier.py", "run_squad.py"):
        (tree / BERT / name).write_text("import sys\nprint(sys.argv[1:])\n")
    patched = tree / BERT / "patched.sh"
    patched.write_text("echo patched\n")
    file = PatchedFile(f"{BERT}/patched.sh", "0" * 40, blob_id(patched.read_bytes()))
    write_lock(
        tree,
        Lock(
            url="standin",
            release="1.13.0",
            commit="1" * 40,
            patches=(AppliedPatch("a-patch", ("2" * 64,), (file,)),),
        ),
    )
    return tree


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Eight files of records for each phase, a vocabulary, MRPC and SQuAD."""
    root = tmp_path / "data"
    for length, predictions in ((128, 20), (512, 80)):
        records = root / f"tfrecord/seq_len_{length}/wikicorpus_en/training"
        records.mkdir(parents=True)
        for number in range(8):
            path = records / f"{number}.tfrecord"
            records_of.write(path, length=length, predictions=predictions)
    (root / "vocab/uncased").mkdir(parents=True)
    (root / "vocab/uncased/vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n")
    (root / "MRPC").mkdir()
    for name in ("train", "dev"):
        (root / f"MRPC/{name}.tsv").write_text("Quality\tA\tB\tC\tD\n1\t1\t2\ta b\tc d\n")
    (root / "SQuAD").mkdir()
    for name in ("train", "dev"):
        (root / f"SQuAD/{name}-v1.1.json").write_text("{}\n")
    return root


@pytest.fixture
def request_for(tmp_path: Path, repo: Path, data: Path) -> Callable[..., Request]:
    """Makes a request for a job, with whatever a test wants otherwise."""

    def make(job: str, **changes: object) -> Request:
        values: Dict[str, object] = {
            "recipe": load(job),
            "model": "tiny",
            "cards": 1,
            "device": "cpu",
            "repo": repo,
            "data": data,
            "output": tmp_path / "results" / job,
            "init_checkpoint": None,
            "steps": None,
            "extra_flags": (),
            "python": Path(sys.executable),
            **changes,
        }
        return Request(**values)  # type: ignore[arg-type]

    return make


@pytest.fixture
def whole_checkpoint() -> Callable[[Path, int], Path]:
    """Puts a real, tiny checkpoint (made by TensorFlow 2.13) of a step into a directory."""

    def put(directory: Path, step: int) -> Path:
        directory.mkdir(parents=True, exist_ok=True)
        for part in (FIXTURES / "checkpoint").glob("model.ckpt-7.*"):
            shutil.copy(part, directory / part.name.replace("-7.", f"-{step}."))
        return directory / f"model.ckpt-{step}"

    return put


@pytest.fixture
def gaudi_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The machine of :mod:`tests.gaudi`, and a pod's environment in this process."""
    root = tmp_path / "image"
    environment = gaudi.build(root)
    for name in list(os.environ):
        monkeypatch.delenv(name)
    for name, value in {
        **environment,
        "OMPI_MCA_btl_tcp_if_include": "eth0",
        "KUBERNETES_SERVICE_HOST": "10.0.0.1",
        "MY_REGISTRY_TOKEN": "not for anyone",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return root


@pytest.fixture
def some_mpirun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An Open MPI in ``MPI_ROOT`` that tells its version, for plans that nobody carries out."""
    root = tmp_path / "openmpi"
    (root / "bin").mkdir(parents=True)
    mpirun = root / "bin/mpirun"
    mpirun.write_text("#!/bin/sh\necho 'mpirun (Open MPI) 4.1.5'\n")
    mpirun.chmod(0o755)
    monkeypatch.setenv("MPI_ROOT", str(root))
    return root

"""Small real repositories that look like upstream's."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from bertkit.blobs import blob_id
from bertkit.upstream.catalogue import Release

FILES = {
    "TensorFlow/nlp/bert/run_pretraining.py": "print('training')\n",
    "TensorFlow/nlp/bert/run_classifier.py": "print('classifying')\n",
    "TensorFlow/nlp/bert/README.md": "# BERT\n",
    "TensorFlow/nlp/bert/loss.png": "not really a picture\n",
    "TensorFlow/common/tb_utils.py": "HOOKS = []\n",
    "TensorFlow/common/image_classification/train.py": "print('pictures')\n",
    "TensorFlow/vision/resnet.py": "print('resnet')\n",
    "PyTorch/huge.bin": "0123456789" * 20000,
    ".gitignore": "*.pyc\n",
}
CATALOGUED = ("TensorFlow/nlp/bert/run_pretraining.py", "TensorFlow/common/tb_utils.py")


def git(where, *arguments):
    """Run git for a test, untouched by the developer's own configuration."""
    environment = {name: value for name, value in os.environ.items() if "GIT_" not in name}
    environment.update(
        GIT_CONFIG_GLOBAL=os.devnull,
        GIT_CONFIG_NOSYSTEM="1",
        GIT_AUTHOR_NAME="t",
        GIT_AUTHOR_EMAIL="t@localhost",
        GIT_COMMITTER_NAME="t",
        GIT_COMMITTER_EMAIL="t@localhost",
    )
    return subprocess.run(
        ["git", *arguments],
        cwd=str(where),
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()


def commit(where, files, message="more"):
    """Write *files* into the work tree *where* and commit everything; the commit's id."""
    for name, text in files.items():
        path = Path(where) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    git(where, "add", "--all", "--force")
    git(where, "commit", "--quiet", "--allow-empty", "-m", message)
    return git(where, "rev-parse", "HEAD")


def upstream(where, *, version="1.13.0", files=FILES, server_can_filter=True):
    """Make *where* a repository with the branch *version*; the release as a catalogue has it."""
    where.mkdir(parents=True)
    git(where, "init", "--quiet")
    git(where, "checkout", "--quiet", "-b", version)
    if server_can_filter:
        git(where, "config", "uploadpack.allowFilter", "true")
    head = commit(where, files, "first")
    blobs = {name: blob_id(files[name].encode()) for name in CATALOGUED if name in files}
    return Release(version, head, "2024-03-08", ("2.13.1",), ("3.10",), blobs)

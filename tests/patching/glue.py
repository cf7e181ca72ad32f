"""Patched download scripts at work: real processes and a real HTTP server in GLUE's place."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Dict, List

HOST = "https://dl.fbaipublicfiles.com"
HEADER = "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n"
DEV_IDS = "/glue/data/mrpc_dev_ids.tsv"


def files() -> Dict[str, bytes]:
    """MRPC as it is served: 10 pairs, of which the dev ids choose 3, and 4 to be predicted."""
    pairs = [f"{n % 2}\t{n}\t{n + 100}\tfirst {n}\tsecond {n}\n" for n in range(10)]
    ids = [f"{n}\t{n + 100}\n" for n in (2, 5, 7)]
    return {
        "/senteval/senteval_data/msr_paraphrase_train.txt": (HEADER + "".join(pairs)).encode(),
        "/senteval/senteval_data/msr_paraphrase_test.txt": (HEADER + "".join(pairs[:4])).encode(),
        DEV_IDS: "".join(ids).encode(),
    }


def lead_to(server_url: str, download: Path) -> None:
    """Make the scripts in *download* ask the local server; the addresses stay as they are."""
    script = download / "download_glue_data.py"
    text = script.read_text(encoding="utf-8")
    assert HOST in text
    script.write_text(text.replace(HOST, server_url), encoding="utf-8")


def run(download: Path, target: Path, search: str = "") -> subprocess.CompletedProcess[str]:
    """``download_dataset.py`` *target*; *search* is for what it imports."""
    return subprocess.run(
        [sys.executable, str(download / "download_dataset.py"), str(target)],
        env={**os.environ, "no_proxy": "*", "PYTHONPATH": search},
        capture_output=True,
        text=True,
        check=False,
    )


def ids(file: Path) -> List[str]:
    """The second column of a .tsv file, less the header."""
    return [line.split("\t")[1] for line in file.read_text(encoding="utf-8").splitlines()[1:]]

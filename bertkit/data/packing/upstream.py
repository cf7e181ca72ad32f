"""Packing by upstream's own script, into the same places."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Dict

from bertkit.data.packing.metadata import metadata_path
from bertkit.data.packing.packer import Packer, Work, least_packs
from bertkit.data.packing.verify import contents_of_packs
from bertkit.errors import BertkitError, EnvironmentUnfit
from bertkit.files import sha256_of
from bertkit.processes import dies_with_parent

_SCRIPT = "TensorFlow/nlp/bert/data_preprocessing/pack_pretraining_data_tfrec.py"
_RUNNER = Path(__file__).with_name("run_upstream.py")


class UpstreamPacker(Packer):
    """Runs the script of a checkout, and counts what it wrote: it does not end with an error where
    it lost records.

    Args:
        repo: the checkout.

    Raises:
        EnvironmentUnfit: the script or a library that it needs is not there.
    """

    made_with = ("numpy", "scipy")

    def __init__(self, repo: Path) -> None:
        self._script = repo / _SCRIPT
        if not self._script.is_file():
            raise EnvironmentUnfit(
                "upstream's packer is not there",
                where=self._script,
                next_step="bertkit prepare-repo, or give a checkout of 1.6.0 to 1.14.0 with --repo",
            )
        for module in ("tensorflow", "scipy"):
            if find_spec(module) is None:
                raise EnvironmentUnfit(
                    f"upstream's packer needs {module}",
                    where=sys.executable,
                    next_step="use an environment with the extra cpu, or --engine native",
                )
        self.settings: Dict[str, Any] = {"engine": "upstream", "script": sha256_of(self._script)}

    def planned(self, work: Work) -> Dict[str, int]:
        """What is known before the script has run."""
        return {
            "sequences": work.records.records,
            "tokens": work.records.tokens,
            "least_packs": least_packs(work),
        }

    def write(self, work: Work, tree: Path) -> Dict[str, int]:
        """Run the script, and compare what it wrote with what it was given."""
        log = tree.parent / "upstream.log"
        done = self._run(work, tree, log)
        if done:
            raise BertkitError(
                "upstream's packer failed",
                where=self._script,
                why=_last_line(log),
                next_step="bertkit data pack --engine native",
            )
        written = tree.parent / f"{tree.name}_metadata.json"
        found = contents_of_packs(tree, work.limits, work.workers)
        if found.contents != work.records.contents:
            raise BertkitError(
                "upstream's packer lost or changed sequences",
                where=self._script,
                why=f"{found.sequences:,} of {work.records.records:,} are in its packs",
                next_step="bertkit data pack --engine native",
            )
        shutil.move(str(written), str(tree.parent / metadata_path(work.request.output).name))
        return {
            **self.planned(work),
            "packs": found.packs,
            "files": len(list(tree.iterdir())),
        }

    def _run(self, work: Work, tree: Path, log: Path) -> int:
        source = work.request.source.resolve()
        command = [
            sys.executable, str(_RUNNER), str(work.request.seed), str(self._script.resolve()),
            # it puts names right behind this
            "--input-glob", f"{source}/", "--output-dir", str(tree.resolve()),
            "--max-files", str(len(work.records.files)),
            "--max-sequence-length", str(work.limits.tokens),
            "--max-predictions-per-sequence", str(work.limits.predictions),
        ]  # fmt: skip
        with log.open("wb") as stream:
            return subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT,
                check=False, preexec_fn=dies_with_parent(),
            ).returncode  # fmt: skip


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")

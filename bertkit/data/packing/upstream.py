"""Packing by upstream's own script, into the same places."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Dict

from bertkit.data.packing.metadata import metadata_path
from bertkit.data.packing.packer import Packer, Work
from bertkit.data.packing.plan import least_packs
from bertkit.data.packing.verify import contents_of_packs
from bertkit.data.scripts.script import data_script, run_script
from bertkit.data.stages.manifest import Stage
from bertkit.errors import BertkitError
from bertkit.files import sha256_of


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
        self._script = data_script(
            repo, "pack_pretraining_data_tfrec.py", ("tensorflow", "numpy", "scipy")
        )
        self.settings: Dict[str, Any] = {"engine": "upstream", "script": sha256_of(self._script)}

    def planned(self, work: Work) -> Dict[str, int]:
        """What is known before the script has run."""
        return {
            "sequences": work.records.records,
            "tokens": work.records.tokens,
            "least_packs": least_packs(work.records, work.limits),
        }

    def write(self, work: Work, tree: Path) -> Dict[str, int]:
        """Run the script, and compare what it wrote with what it was given."""
        self._run(work, tree)
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

    def help_with(self, work: Work, whole: Stage) -> None:
        """Nothing: its script cannot share the work."""

    def _run(self, work: Work, tree: Path) -> None:
        source = work.request.source.resolve()
        arguments = [
            # it puts names right behind this
            "--input-glob", f"{source}/", "--output-dir", str(tree.resolve()),
            "--max-files", str(len(work.records.files)),
            "--max-sequence-length", str(work.limits.tokens),
            "--max-predictions-per-sequence", str(work.limits.predictions),
        ]  # fmt: skip
        run_script(
            self._script, arguments, doing="packing by upstream", seed=work.request.seed,
            next_step="bertkit data pack --engine native",
        )  # fmt: skip

"""Records by upstream's own script, file by file, into the same places."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Sequence

from bertkit.data.instances.stage import RecordSettings, Vocabulary, records_stage
from bertkit.data.layout import DataLayout
from bertkit.data.records.frames import read_frames
from bertkit.data.stages.manifest import Manifest
from bertkit.data.stages.parts import PartsStage
from bertkit.errors import BertkitError, EnvironmentUnfit, UsageProblem
from bertkit.files import sha256_of
from bertkit.processes import dies_with_parent

_BERT = Path("TensorFlow/nlp/bert")
_SCRIPT = _BERT / "data_preprocessing" / "create_pretraining_data.py"
#: what the script imports, directly or not
_NEEDS = ("tensorflow", "h5py", "six", "tqdm", "numpy")


class _Job(NamedTuple):
    script: Path
    native: Any


def upstream_records_stage(
    repo: Path,
    layout: DataLayout,
    text: Manifest,
    vocabulary: Vocabulary,
    settings: Sequence[RecordSettings],
) -> PartsStage:
    """The stage of ``stage.records_stage``, done by the script of *repo*.

    Raises:
        EnvironmentUnfit: the script or a library that it needs is not there.
        UsageProblem: what it cannot do is asked for.
    """
    script = (repo / _SCRIPT).absolute()
    if not script.is_file():
        raise EnvironmentUnfit(
            "upstream's script is not there", where=script,
            next_step="bertkit prepare-repo, or give its checkout with --repo",
        )  # fmt: skip
    for module in _NEEDS:
        if find_spec(module) is None:
            raise EnvironmentUnfit(
                f"upstream's script needs {module}", where=sys.executable,
                next_step=f"{sys.executable} -m pip install {module}, or --engine native",
            )  # fmt: skip
    if not vocabulary.lowercase or any(each.whole_words for each in settings):
        raise UsageProblem(
            "upstream's script makes uncased records without whole words only",
            where=script, next_step="--engine native",
        )  # fmt: skip
    native = records_stage(layout, text, vocabulary, settings)
    by = {"engine": "upstream", "script": sha256_of(script)}
    return native._replace(
        outputs=[each._replace(settings={**each.settings, **by}) for each in native.outputs],
        parts=[each._replace(job=_Job(script, each.job)) for each in native.parts],
        make=_write_records,
    )


def _write_records(job: _Job, paths: Sequence[Path]) -> List[Dict[str, int]]:
    split = job.native.name.partition("/")[0]
    counts = []
    for path, settings in zip(paths, job.native.settings):
        command = [
            sys.executable, str(job.script),
            f"--input_file={job.native.text}", f"--output_file={path}",
            f"--vocab_file={job.native.vocabulary}", "--do_lower_case",
            f"--max_seq_length={settings.seq_len}",
            f"--max_predictions_per_seq={settings.max_predictions}",
            f"--dupe_factor={settings.duplicates}", f"--random_seed={settings.seed}",
        ]  # fmt: skip
        bert = job.script.parent.parent
        root = bert.parents[2]  # the script imports TensorFlow.nlp.bert...
        paths_of_python = filter(None, [str(root), str(bert), os.environ.get("PYTHONPATH")])
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths_of_python)},
            text=True, errors="replace", check=False, preexec_fn=dies_with_parent(),
        )  # fmt: skip
        if done.returncode != 0:
            said = [line for line in done.stdout.splitlines() if line.strip()]
            raise BertkitError(
                "upstream's script failed", where=job.native.text,
                why=said[-1][:300] if said else f"exit code {done.returncode}",
                next_step="--engine native",
            )  # fmt: skip
        with path.open("rb") as stream:
            count = sum(len(frames.edges) - 1 for frames in read_frames(stream, path))
        counts.append({"records": count, f"{split}_records": count})
    return counts

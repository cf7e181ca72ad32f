"""Records by upstream's own script, file by file, into the same places."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Sequence

from bertkit.data.instances.stage import RecordSettings, Vocabulary, records_stage
from bertkit.data.layout import DataLayout
from bertkit.data.records.frames import read_frames
from bertkit.data.scripts.script import data_script, run_script
from bertkit.data.stages.manifest import Manifest
from bertkit.data.stages.parts import PartsStage
from bertkit.errors import UsageProblem
from bertkit.files import sha256_of

#: what the script imports, directly or not
_NEEDS = ("tensorflow", "h5py", "six", "tqdm", "numpy")


class _Job(NamedTuple):
    script: Path
    native: Any


def records_script(repo: Path) -> Path:
    """The script of *repo*, found fit to run.

    Raises:
        EnvironmentUnfit: the script or a library that it needs is not there.
    """
    return data_script(repo, "create_pretraining_data.py", _NEEDS)


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
    script = records_script(repo)
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
    bert = job.script.parent.parent
    root = bert.parents[2]  # the script imports TensorFlow.nlp.bert...
    paths_of_python = [str(root), str(bert), *filter(None, [os.environ.get("PYTHONPATH")])]
    counts = []
    for path, settings in zip(paths, job.native.settings):
        arguments = [
            f"--input_file={job.native.text}", f"--output_file={path}",
            f"--vocab_file={job.native.vocabulary}", "--do_lower_case",
            f"--max_seq_length={settings.seq_len}",
            f"--max_predictions_per_seq={settings.max_predictions}",
            f"--dupe_factor={settings.duplicates}", f"--random_seed={settings.seed}",
        ]  # fmt: skip
        run_script(
            job.script, arguments, doing=job.native.name, where=job.native.text,
            environment={"PYTHONPATH": os.pathsep.join(paths_of_python)},
        )  # fmt: skip
        with path.open("rb") as stream:
            count = sum(len(frames.edges) - 1 for frames in read_frames(stream, path))
        counts.append({"records": count, f"{split}_records": count})
    return counts

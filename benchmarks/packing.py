"""``bertkit data pack`` beside upstream's packer: the same records, the same cores, in turn.

Then the memory for ten times the records beside that for one time, and the plan for lengths alone:
BERTKIT_LENGTHS names a file of lines ``length,sequences``, such as the histogram of Wikipedia at
512 tokens.

BERTKIT_BENCH_TOKENS (128) and BERTKIT_BENCH_RECORDS (60000) say how long and how many records are.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Tuple

from benchmarks.processes import Taken, measured
from benchmarks.table import Table
from bertkit.data.layout import PREDICTIONS
from bertkit.data.stages.workers import cores
from bertkit.errors import BertkitError
from bertkit.upstream.scan import upstream_answers
from bertkit.upstream.source import resolve

RELEASE = "1.13.0"
REPEATS = 2
FILES = 8
MORE = 10
SMALL_WINDOW = 5000

_PACKER = "TensorFlow/nlp/bert/data_preprocessing/pack_pretraining_data_tfrec.py"


def run() -> Table:
    """Measure what can be measured here, and say what cannot.

    Raises:
        BertkitError: one of the packers failed.
    """
    tokens = int(os.environ.get("BERTKIT_BENCH_TOKENS", "128"))
    records = int(os.environ.get("BERTKIT_BENCH_RECORDS", "60000"))
    given = os.environ.get("BERTKIT_LENGTHS")
    histogram = _lengths(Path(given)) if given else None
    table = Table(
        f"packing, {tokens} tokens, three sequences a pack, on {cores()} cores",
        ("way", "sequences", "seconds", "sequences/s", "memory MB", "packs", "efficiency"),
    )
    with tempfile.TemporaryDirectory(prefix="bertkit-bench-") as name:
        scratch = Path(name)
        source = scratch / "records"
        _make_records(source, records, tokens)
        _measure_packers(table, scratch, source, tokens)
        _measure_memory(table, scratch, source)
    if histogram is None:
        table.notes.append("no plan for a histogram: BERTKIT_LENGTHS names no file")
    else:
        _measure_plan(table, *histogram)
    table.notes += [
        "seconds: median wall clock of the whole command, with its start and its first pass",
        "memory: most of all processes together (PSS), looked at every 50 ms",
        "efficiency: tokens that are no padding; the bound is what no packing can exceed",
    ]
    return table


def _measure_packers(table: Table, scratch: Path, source: Path, tokens: int) -> None:
    ways: Dict[str, Callable[[Path], Taken]] = {"bertkit data pack": partial(_native, source)}
    script = _upstream_script(table, scratch)
    if script is not None:
        ways["upstream's packer"] = partial(_upstream, script, source, tokens)
    taken: Dict[str, List[Taken]] = {way: [] for way in ways}
    told: Dict[str, Dict[str, Any]] = {}
    for _ in range(REPEATS):
        for way, packer in ways.items():
            output = scratch / "packs" / "training"
            taken[way].append(packer(output))
            told[way] = json.loads(output.with_name("training_metadata.json").read_text())
            shutil.rmtree(str(output.parent))
    for way in ways:
        _add_row(table, way, taken[way], told[way])
    if script is not None:
        rates = [statistics.median(each.seconds for each in taken[way]) for way in ways]
        table.notes.append(f"bertkit packs {rates[1] / rates[0]:.1f} times as fast as upstream")


def _measure_memory(table: Table, scratch: Path, source: Path) -> None:
    """The memory for these records and for more, in windows and files of which even these fill
    several."""
    many = scratch / "many"
    many.mkdir()
    for path in source.iterdir():
        for copy in range(MORE):
            os.link(path, many / f"{copy}-{path.name}")
    for way, records in (("in small windows", source), (f"and {MORE} times as much", many)):
        output = scratch / "packs" / "training"
        taken = _native(records, output, "--window", str(SMALL_WINDOW), "--ranks", "2")
        told = json.loads(output.with_name("training_metadata.json").read_text())
        _add_row(table, f"  {way}", [taken], told)
        shutil.rmtree(str(output.parent))


def _add_row(table: Table, way: str, taken: List[Taken], told: Dict[str, Any]) -> None:
    seconds = statistics.median(each.seconds for each in taken)
    sequences = int(told["original_number_of_samples"])
    table.rows.append(
        (
            way, f"{sequences:,}", f"{seconds:.1f}", f"{sequences / seconds:,.0f}",
            f"{max(each.memory for each in taken) / 1e6:,.0f}",
            f"{int(told['new_number_of_samples']):,}", f"{told['packing_efficiency']:.3%}",
        )
    )  # fmt: skip


def _native(source: Path, output: Path, *more: str) -> Taken:
    command = ["data", "pack", str(source), "--output", str(output), "--quiet", *more]
    return measured([sys.executable, "-m", "bertkit", *command])


def _upstream(script: Path, source: Path, tokens: int, output: Path) -> Taken:
    return measured(
        [
            sys.executable, str(script), f"--input-glob={source}/", f"--output-dir={output}",
            f"--max-files={FILES}", f"--max-sequence-length={tokens}",
            f"--max-predictions-per-sequence={_predictions(tokens)}",
        ]
    )  # fmt: skip


def _upstream_script(table: Table, scratch: Path) -> Any:
    source = resolve()
    if source.is_standin or not upstream_answers():
        table.notes.append(
            f"upstream's packer not run: {source.url} does not answer; BERTKIT_UPSTREAM can name "
            "a clone of Model-References"
        )
        return None
    wish = ["--synapse-version", RELEASE, "--upstream", source.url]
    tree = scratch / "upstream"
    measured([sys.executable, "-m", "bertkit", "prepare-repo", "-q", *wish, "--dest", str(tree)])
    return tree / _PACKER


def _measure_plan(table: Table, lengths: Any, tokens: int) -> None:
    """The plan alone, for sequences of these lengths."""
    import numpy as np

    from bertkit.data.packing.planning import WINDOW, Pool, plan_packs
    from bertkit.data.packing.sequences import Limits
    from bertkit.data.packing.strategies import solve

    limits = Limits(tokens, _predictions(tokens))
    predictions = np.clip(np.round(lengths * 0.15), 1, limits.predictions).astype(np.int64)
    numbers = np.arange(len(lengths))

    def windows() -> Iterator[Pool]:
        for begin in range(0, len(lengths), WINDOW):
            here = slice(begin, begin + WINDOW)
            yield Pool(numbers[here], lengths[here], predictions[here])

    started = time.monotonic()
    packs = sum(len(each.numbers) for each in plan_packs(windows(), limits, cores()))
    seconds = time.monotonic() - started
    histogram = np.bincount(lengths, minlength=tokens + 1)
    least = int(np.ceil(solve(histogram, tokens).bound - 1e-6))
    used = int(lengths.sum())
    for way, count, took in (
        (f"plan for lengths alone, {tokens} tokens", packs, f"{seconds:.1f}"),
        ("  the bound of the linear program", least, "-"),
    ):
        rate = f"{len(lengths) / seconds:,.0f}" if took != "-" else "-"
        table.rows.append(
            (way, f"{len(lengths):,}", took, rate, "-", f"{count:,}",
             f"{used / tokens / count:.3%}")
        )  # fmt: skip


def _lengths(path: Path) -> Tuple[Any, int]:
    """All lengths of a histogram in random order (int64), and the longest."""
    import numpy as np

    try:
        rows = np.loadtxt(str(path), delimiter=",", skiprows=1, dtype=np.int64, ndmin=2)
        lengths = np.repeat(rows[:, 0], rows[:, 1])
    except (OSError, ValueError, IndexError) as error:
        raise BertkitError(
            "the histogram cannot be read", where=path, why=str(error),
            next_step="give a file of lines `length,sequences` behind one heading",
        ) from None  # fmt: skip
    np.random.RandomState(1).shuffle(lengths)
    return lengths, int(rows[:, 0].max())


def _predictions(tokens: int) -> int:
    return PREDICTIONS.get(tokens, max(1, round(tokens * 0.15)))


def _make_records(directory: Path, records: int, tokens: int) -> None:
    """Records of random tokens; lengths as exponential as text has them, and a quarter full."""
    import numpy as np

    from bertkit.data.records.tfrecord import encode_example, write_records

    directory.mkdir()
    random = np.random.RandomState(1)
    predictions = _predictions(tokens)

    def one() -> bytes:
        length = min(tokens, 5 + int(random.exponential(tokens / 2)))
        masked = max(1, min(predictions, round(length * 0.15)))
        padding, unused = [0] * (tokens - length), [0] * (predictions - masked)
        places = np.sort(random.permutation(length)[:masked]).tolist()
        return encode_example(
            {
                "input_ids": random.randint(1000, 30000, length).tolist() + padding,
                "input_mask": [1] * length + padding,
                "segment_ids": [0] * (length // 2) + [1] * (length - length // 2) + padding,
                "masked_lm_positions": places + unused,
                "masked_lm_ids": random.randint(1000, 30000, masked).tolist() + unused,
                "masked_lm_weights": [1.0] * masked + [0.0] * len(unused),
                "next_sentence_labels": [int(random.randint(2))],
            }
        )

    for number in range(FILES):
        count = records // FILES + (number < records % FILES)
        write_records(directory / f"{number}.tfrecord", (one() for _ in range(count)))

"""The Microsoft Research Paraphrase Corpus, split as GLUE's own script splits it.

The source is SentEval's: tabs between columns, quotes that are plain characters, and a mark of the
byte order before the header. All of that is kept: upstream's reader takes it so.
"""

from __future__ import annotations

from pathlib import Path
from typing import Dict, Iterator, List

from bertkit.data.published import addresses
from bertkit.data.published.prepare import Asked, Prepared, expect, prepare
from bertkit.data.stages.manifest import Stage
from bertkit.errors import DataDamaged
from bertkit.files import write_atomic

#: pairs of sentences
SIZES = {"train": 3668, "dev": 408, "test": 1725}

_COLUMNS = 5
_TEST_HEADER = "index\t#1 ID\t#2 ID\t#1 String\t#2 String\n"


def have_mrpc(asked: Asked) -> Prepared:
    """``DATA/MRPC`` with train.tsv, dev.tsv and test.tsv.

    Raises:
        DownloadFailed, DataDamaged, EnvironmentUnfit: it cannot be had; the message says why.
    """
    files = {name: asked.downloads / each.place for name, each in addresses.MRPC.items()}

    def stage_of(sums: Dict[str, str]) -> Stage:
        return Stage(
            "MRPC of GLUE", asked.layout.mrpc, sums, {"split": "GLUE", "rules": 1},
            lambda place: split_as_glue(files, place), supersedes=("MRPC",),
        )  # fmt: skip

    return prepare(asked, addresses.MRPC, stage_of)


def split_as_glue(files: Dict[str, Path], output: Path) -> Dict[str, int]:
    """Write GLUE's three files into the directory *output*, which is made; gives their sizes.

    Args:
        files: ``train``, ``test`` and ``dev ids`` as they are published.

    Raises:
        DataDamaged: a line has not its columns, or there are more or fewer than published.
    """
    dev_ids = {(first, second) for first, second in _rows(files["dev ids"], 2, header=False)}
    header = next(iter(_lines(files["train"])), "")
    sets: Dict[str, List[str]] = {"train": [header], "dev": [header], "test": [_TEST_HEADER]}
    for row in _rows(files["train"], _COLUMNS):
        sets["dev" if (row[1], row[2]) in dev_ids else "train"].append("\t".join(row) + "\n")
    for index, row in enumerate(_rows(files["test"], _COLUMNS)):
        sets["test"].append("\t".join([str(index), *row[1:]]) + "\n")
    counts = {name: len(lines) - 1 for name, lines in sets.items()}
    expect(counts, SIZES, files["train"].parent)
    output.mkdir()
    for name, lines in sets.items():
        write_atomic(output / f"{name}.tsv", "".join(lines))
    return counts


def _rows(path: Path, columns: int, header: bool = True) -> Iterator[List[str]]:
    for number, line in enumerate(_lines(path), start=1):
        if header and number == 1:
            continue
        row = line.strip().split("\t")
        if len(row) != columns:
            raise _misread(path, f"line {number} has {len(row)} columns, not {columns}")
        yield row


def _lines(path: Path) -> List[str]:
    try:
        with path.open(encoding="utf-8") as stream:
            return list(stream)
    except UnicodeDecodeError as error:
        raise _misread(path, str(error)) from None


def _misread(path: Path, why: str) -> DataDamaged:
    return DataDamaged(
        f"{path.name} is not as it is published",
        where=path,
        why=why,
        next_step=f"move it and {path.name}.pin.json away and run this again",
    )

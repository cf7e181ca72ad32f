"""What a plan must know of packed records: the metadata that lies beside them."""

from __future__ import annotations

import json
from pathlib import Path

from bertkit.errors import DataDamaged
from bertkit.launch.checks import records


def average_in_a_pack(metadata: Path) -> float:
    """How many sequences a record has on average, as ``training_metadata.json`` says.

    Raises:
        DataDamaged: the file is not there or says nothing usable. Upstream would then take the
            records for plain ones, or stop in all ranks.
    """
    why = records.unfit_metadata(metadata)
    if why is not None:
        raise DataDamaged(
            "the packed records' metadata is no use",
            where=metadata,
            why=why,
            next_step="bertkit data pack makes records with it; "
            "without --packed the plain ones are taken",
        )
    return float(json.loads(metadata.read_text(encoding="utf-8"))["avg_seq_per_sample"])

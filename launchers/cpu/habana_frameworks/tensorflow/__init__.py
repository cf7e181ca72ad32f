"""The names of ``habana_frameworks.tensorflow`` that upstream's BERT scripts use, for a CPU."""

from __future__ import annotations

from typing import Optional

__version__ = "0.0.0+cpu"


def load_habana_module(allow_op_override: Optional[bool] = None) -> Optional[str]:
    """Load no device: TensorFlow goes on with the CPU. Says so, once per rank."""
    print("bertkit: CPU run, no Gaudi is used", flush=True)
    return None

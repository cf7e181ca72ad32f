"""Run the stand-in's scripts as a launcher does: as processes, with the shims on PYTHONPATH."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, Optional

from bertkit.resources import shipped

STANDIN = shipped("standin")
CONFIG = {
    "attention_probs_dropout_prob": 0.1,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "hidden_size": 32,
    "initializer_range": 0.02,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
    "num_attention_heads": 2,
    "num_hidden_layers": 2,
    "type_vocab_size": 2,
    "vocab_size": 200,
}


class Bench:
    """A temporary place with a tiny model and a way to run a script there."""

    def __init__(self, home: Path, upstream: Path = STANDIN) -> None:
        self.home = home
        self.bert = upstream / "TensorFlow" / "nlp" / "bert"
        self.config = home / "bert_config.json"
        self.config.write_text(json.dumps(CONFIG))
        shims = [shipped("launchers") / "cpu", shipped("launchers") / "dllogger"]
        search = [str(path) for path in (upstream, self.bert, *shims)]
        self.environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(search),
            "TF_CPP_MIN_LOG_LEVEL": "2",
            # Ranks that share cores must not wait for each other at full speed.
            "OMPI_MCA_mpi_yield_when_idle": "1",
            "HOROVOD_CYCLE_TIME": "5",
            "CUDA_VISIBLE_DEVICES": "",
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def run(
        self, script: str, *flags: str, ranks: Optional[int] = None
    ) -> subprocess.CompletedProcess[str]:
        """Run one script; with `ranks`, under mpirun. Output is merged into stdout."""
        argv = [sys.executable, str(self.bert / script), *flags]
        if ranks is not None:
            # A rank at a time, so that each has its number where a flag says {rank}.
            programs = [
                [":", "-np", "1", *(part.replace("{rank}", str(rank)) for part in argv)]
                for rank in range(ranks)
            ]
            argv = [
                *[str(mpirun()), "--allow-run-as-root", "--oversubscribe", "--bind-to", "none"],
                *[part for program in programs for part in program][1:],
            ]
        return subprocess.run(
            argv,
            cwd=self.home,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=300,
            check=False,
        )

    def pretrain(
        self, data: Path, output: Path, *flags: str, ranks: Optional[int] = None
    ) -> subprocess.CompletedProcess[str]:
        """Pre-train on `data` with the flags that every test here needs."""
        return self.run(
            "run_pretraining.py",
            f"--input_files_dir={data}",
            f"--output_dir={output}",
            f"--bert_config_file={self.config}",
            f"--dllog_path={output}.{'{rank}.' if ranks else ''}json",
            *["--do_train=True", "--noamp", "--nouse_xla", "--display_loss_steps=1"],
            *["--max_seq_length=32", "--max_predictions_per_seq=5", "--num_warmup_steps=1"],
            *["--train_batch_size=4", "--learning_rate=0.02"],
            *(["--horovod"] if ranks is not None else []),
            *flags,
            ranks=ranks,
        )


def mpirun() -> Path:
    """The mpirun that came with this Python, else the one on PATH."""
    beside = Path(sys.executable).with_name("mpirun")
    found = str(beside) if beside.exists() else shutil.which("mpirun")
    assert found, "mpirun is needed"
    return Path(found)


def dllog(path: Path) -> List[Dict[str, Any]]:
    """The data of each training step that dllogger wrote, with its step."""
    lines = [json.loads(line[len("DLLL ") :]) for line in path.read_text().splitlines()]
    logged = [line for line in lines if isinstance(line.get("step"), int)]
    return [{"step": line["step"], **line["data"]} for line in logged]


def weights(checkpoint_dir: Path) -> Dict[str, Any]:
    """Every variable of the newest checkpoint as arrays."""
    import tensorflow as tf

    reader = tf.train.load_checkpoint(str(checkpoint_dir))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}

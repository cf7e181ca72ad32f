"""How good the trained model is: what the script wrote of it, or upstream's evaluation script."""

from __future__ import annotations

import json
import math
import subprocess
from pathlib import Path
from typing import Dict

from bertkit.errors import RunFailed
from bertkit.launch.nodes.transport import Transport
from bertkit.launch.plan import Plan, tells
from bertkit.launch.running import metrics
from bertkit.processes import dies_with_parent

#: upstream's script takes seconds for all of SQuAD
_SECONDS = 600


def written(plan: Plan) -> Dict[str, float]:
    """The scores in ``eval_results.txt``, if *plan* lets the script evaluate by itself."""
    evaluates = [flag for flag in plan.script if flag.lower() == "--do_eval=true"]
    return metrics.evaluation(Path(plan.output)) if evaluates else {}


def scored(plan: Plan) -> Dict[str, float]:
    """The scores that the plan's evaluation script prints over what rank 0 has predicted.

    Raises:
        RunFailed: the script fails, or prints no scores.
    """
    if not plan.evaluation:
        return {}
    command = list(plan.evaluation)
    if tells(plan):  # what was predicted lies there
        variables = [f"{name}={plan.environment[name]}" for name in plan.exports]
        command = Transport(plan.agent).reach(plan.hosts[0], ["env", *variables, *command])
    try:
        done = subprocess.run(
            command, env=dict(plan.environment), cwd=plan.working_directory,
            capture_output=True, text=True, errors="replace", timeout=_SECONDS, check=True,
            stdin=subprocess.DEVNULL, preexec_fn=dies_with_parent(),
        )  # fmt: skip
        scores = json.loads(done.stdout)
        return {str(name): _number(value) for name, value in scores.items()}
    except (OSError, subprocess.SubprocessError, ValueError, TypeError, AttributeError) as error:
        said = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
        raise RunFailed(
            f"{plan.job} is trained, but could not be evaluated",
            code=1,
            where=plan.evaluation[1],
            why=said[-1] if said else None,
            next_step=f"look into {plan.run_directory}/ranks/0.log; "
            "the checkpoint is whole and can be used",
        ) from None


def _number(value: object) -> float:
    number = float(str(value))
    if not math.isfinite(number):
        raise ValueError(f"{value} is no score")
    return number

"""Upstream's script with everything filled in: what each rank runs, whatever starts it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Mapping, Tuple

from bertkit.launch.recipes import corpus, extra_flags, packing, profiling, script_flags
from bertkit.launch.recipes.formula import Number, shown
from bertkit.launch.recipes.job import Job, assemble
from bertkit.launch.recipes.recipe import fill
from bertkit.launch.recipes.scaling import Derivation, Sizes, scale
from bertkit.launch.request import Request
from bertkit.resources import shipped


@dataclass(frozen=True)
class Filled:
    """The recipe, resolved for one request; see :class:`bertkit.launch.plan.Plan` for each."""

    script: Tuple[str, ...]
    evaluation: Tuple[str, ...]
    needs: Mapping[str, str]
    numbers: Mapping[str, Number]
    derivations: Tuple[Derivation, ...]
    remarks: Tuple[str, ...]


def fill_in(request: Request, run_directory: str) -> Filled:
    """Decide the recipe's options, numbers, paths and flags for *request*.

    Args:
        request: what is wanted.
        run_directory: the name of bertkit's own folder in the output directory.

    Raises:
        UsageProblem: the numbers do not work out, a flag contradicts the plan, or this release
            cannot do what is wanted.
        DataDamaged: packed records say nothing of how they are packed.
    """
    recipe = request.recipe
    known = script_flags.read(request.repo, recipe.script)
    job = assemble(recipe, request.options, known)
    replaced = extra_flags.check(recipe, job, request.model, request.extra_flags, known)
    needs, of_data = _needs(request, job)
    values, derivations, remarks = _numbers(request, job, of_data)
    # With several ranks the fine-tuning scripts give each a directory of its own.
    rank_0 = request.output / "worker_0" if request.ranks > 1 else request.output
    texts = {
        **needs,
        **{name: shown(value) for name, value in values.items()},
        "output": str(request.output),
        "run_directory": str(request.output / run_directory),
        "rank_0_output": str(rank_0),
        "profile": request.profile or "",
    }
    script = [str(request.repo / recipe.script)]
    script += [fill(flag, texts) for flag in job.flags]
    if request.init_checkpoint is not None:
        script.append(f"--init_checkpoint={request.init_checkpoint}")
    if request.ranks > 1:
        script.append(recipe.horovod_flag)
    return Filled(
        script=(*script, *request.extra_flags),
        evaluation=_evaluation(request, texts),
        needs=needs,
        numbers=values,
        derivations=tuple(derivations),
        remarks=(*replaced, *remarks),
    )


def _needs(request: Request, job: Job) -> Tuple[Dict[str, str], Dict[str, Number]]:
    """Name -> file or directory that the job needs, and the numbers that its data bring."""
    name = corpus.choose(request.data, job.needs.values(), request.corpus)
    needs = {
        key: str(request.data / fill(path, {"corpus": name})) for key, path in job.needs.items()
    }
    config = shipped("launchers") / "models" / f"{request.model}.json"
    if request.pretrained is not None:
        config = request.pretrained / "bert_config.json"
        if "vocab" in needs:
            needs["vocab"] = str(request.pretrained / "vocab.txt")
    needs["bert_config"] = str(config)
    if request.packed:
        average = packing.average_in_a_pack(Path(needs["packing_metadata"]))
        return needs, {"avg_seq_per_sample": average}
    return needs, {}


def _numbers(
    request: Request, job: Job, of_data: Mapping[str, Number]
) -> Tuple[Dict[str, Number], List[Derivation], List[str]]:
    """The job's numbers, how they came about, and remarks on them."""
    sizes = Sizes(request.steps, request.batch, request.global_batch)
    values, derivations = scale(
        request.recipe, request.model, request.ranks, sizes, of_data, job.formulas
    )
    remarks = []
    if request.packed:
        wanted, real = values["global_batch"], values["sequences_a_step"]
        remarks.append(f"packed: a step has about {real:.0f} sequences for the {wanted} wanted")
    if request.profile is not None:
        profiling.checked(request.profile, values)
        remarks.append(f"the trace will lie in {_traces(request)}, for TensorBoard")
    return values, derivations, remarks


def _traces(request: Request) -> str:
    """Where upstream's hook writes: into the directory that each rank trains in."""
    place = f"{request.output}/plugins/profile"
    if request.ranks == 1:
        return place
    others = f"{request.output}/worker_N/plugins/profile"
    # In pre-training rank 0 has the output directory itself.
    return others if request.recipe.fine_tunes else f"{place} (rank 0) and {others}"


def _evaluation(request: Request, texts: Mapping[str, str]) -> Tuple[str, ...]:
    """What prints the scores, if the job has such a script."""
    if not request.recipe.evaluation:
        return ()
    script, *arguments = request.recipe.evaluation
    filled = [fill(argument, texts) for argument in arguments]
    return (str(request.python), str(request.repo / script), *filled)

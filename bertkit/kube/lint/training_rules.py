"""Rules on upstream's scripts in a command: Horovod, ranks, learning rate, batch and places."""

from __future__ import annotations

import re
from itertools import islice
from pathlib import PurePosixPath
from typing import Dict, Iterator, List, Optional, Sequence, Tuple

from bertkit.kube.lint.findings import ERROR, WARNING, Finding
from bertkit.kube.lint.scripts import Script, arguments, scripts
from bertkit.kube.lint.workloads import Node, Pod, Workload
from bertkit.kube.pods import HPU
from bertkit.launch.recipes.formula import shown
from bertkit.launch.recipes.recipe import Recipe, load, names
from bertkit.launch.recipes.scaling import scale

_FLAG = re.compile(r"(?<!\S)--([a-z_]+)(?:=(\S*))?")
_RANKS = re.compile(r"(?<!\S)(?:-np|-n|--np)\s+(\S+)")
#: sequence length -> the job that trains with it
_PHASES = {"128": "phase1", "512": "phase2"}
_PLACES = re.compile(r".*(_dir|_path|_file|_checkpoint)")
_TRAINS = re.compile(r"\brun_(?:pretraining|classifier|squad)\.py\b")
_WITHOUT_CARDS = re.compile(
    r"create_datasets_from_start\.sh|bertPrep\.py|create_pretraining_data\.py"
    r"|pack_pretraining_data_tfrec\.py|download_\w+\.py|bertkit data \w+"
)
_OF_THE_IMAGE = ("/root", "/usr", "/opt", "/tmp", "/etc", "/var", "/dev", "/home")


def check(workload: Workload, source: Sequence[str]) -> List[Finding]:
    """Rules on all calls of upstream's training scripts."""
    found: List[Finding] = []
    for pod in workload.pods:
        for container in pod.containers():
            for call in _calls(container, source):
                found += call.check(workload, pod, container)
            found += _own(workload, container)
            found += _idle_cards(container, source)
    return found


def _own(workload: Workload, container: Node) -> Iterator[Finding]:
    """bertkit's own ``train``, with another number of cards than the manifest gives it."""
    words = arguments(container)
    texts = [word.text() for word in words]
    if len(texts) < 2 or PurePosixPath(texts[0]).name != "bertkit" or texts[1] != "train":
        return
    said = dict(re.findall(r"(?<!\S)--(cards|nodes)[= ](\d{1,9})(?!\d)", " ".join(texts)))
    worker = workload.pod("worker")
    has_cards = workload.slots if workload.is_mpi else workload.ranks
    has_nodes = worker.replicas if worker else 1
    # Without --nodes, train takes all workers of the job.
    cards, nodes = int(said.get("cards", 1)), int(said.get("nodes", has_nodes))
    if has_cards is not None and (cards, nodes) != (has_cards, has_nodes):
        yield words[1].finding(
            "ranks-equal-cards", ERROR,
            f"train --cards {cards} --nodes {nodes}, and {has_nodes} x {has_cards} cards",
            why="learning rate and accumulation follow from the number of ranks",
            instead="make the manifest again, with the number that you want",
        )  # fmt: skip


def _idle_cards(container: Node, source: Sequence[str]) -> Iterator[Finding]:
    """Cards held by what computes nothing on them."""
    limit = container.at("resources", "limits", HPU)
    if not limit.number():
        return
    for script in scripts(container, source):
        match = _WITHOUT_CARDS.search(script.text)
        if match and not _TRAINS.search(script.text):
            yield limit.finding(
                "idle-cards", WARNING, f"{limit.text()} cards for {match.group()}",
                why="it computes nothing on them, and nobody else can",
                instead=f"take {HPU} out of limits and requests",
            )  # fmt: skip


class _Call:
    """One call of a training script."""

    def __init__(self, program: str, text: str, node: Node, script: Optional[Script]) -> None:
        self.program = program
        self.flags: Dict[str, str] = {k: v.strip("\"';") for k, v in _FLAG.findall(text)}
        self.text = text
        self.node = node
        self.script = script

    def finding(self, rule: str, level: str, what: str, why: str, instead: str, at: str) -> Finding:
        line = self.script.line_of(at) if self.script else None
        return self.node.finding(rule, level, what, why=why, instead=instead, line=line)

    def check(self, workload: Workload, pod: Pod, container: Node) -> Iterator[Finding]:
        ranks, said = self._ranks(workload)
        yield from self._started(workload, ranks, said)
        recipe = self._recipe()
        if recipe is not None and ranks is not None and ranks > 0:
            yield from self._horovod(recipe, ranks)
            yield from self._numbers(recipe, ranks)
        yield from self._places(container)

    def _ranks(self, workload: Workload) -> Tuple[Optional[int], Optional[int]]:
        """How many ranks the call has, and what its mpirun says of it, if that is a number."""
        text = self.script.text if self.script else self.text
        said = None
        for match in islice(_RANKS.finditer(text), 20):
            number = _value(match.group(1), text)
            said = number if number is not None else said
        return (said or workload.ranks), said

    def _started(
        self, workload: Workload, ranks: Optional[int], said: Optional[int]
    ) -> Iterator[Finding]:
        cards = workload.ranks
        if said is not None and cards is not None and said != cards:
            yield self.finding(
                "ranks-equal-cards", ERROR, f"mpirun starts {said} ranks, there are {cards} cards",
                "each rank takes one card", f"-np {cards}", "mpirun",
            )  # fmt: skip
        if said is None and not workload.is_mpi and (cards or 0) > 1:
            yield self.finding(
                "ranks-equal-cards", ERROR, f"{cards} cards, and no mpirun",
                "one rank runs, on one card; the others stand idle",
                "bertkit train --cards N, or 1 card", self.program,
            )  # fmt: skip

    def _recipe(self) -> Optional[Recipe]:
        if self.program == "run_pretraining.py":
            job = _PHASES.get(self.flags.get("max_seq_length", ""))
        elif self.program == "run_squad.py":
            job = "squad"
        else:
            job = "mrpc" if self.flags.get("task_name", "").lower() == "mrpc" else None
        return load(job) if job in names() else None

    def _horovod(self, recipe: Recipe, ranks: int) -> Iterator[Finding]:
        flag = recipe.horovod_flag.lstrip("-").partition("=")[0]
        is_on = flag in self.flags and self.flags[flag].lower() not in ("false", "0")
        # Behind a comment it is lost as well, but that is another finding.
        is_cut = flag not in self.flags and self.script and f"--{flag}" in self.script.text
        if ranks > 1 and not is_on and not is_cut:
            yield self.finding(
                "horovod", ERROR, f"{ranks} ranks without {recipe.horovod_flag}",
                f"{ranks} separate trainings run, each on its own, and write over each other",
                recipe.horovod_flag, self.program,
            )  # fmt: skip

    def _numbers(self, recipe: Recipe, ranks: int) -> Iterator[Finding]:
        """Learning rate and accumulation, where upstream's global batch is meant."""
        if self.program != "run_pretraining.py" or "enable_packed_data_mode" in self.flags:
            return
        # For one rank, because any number of ranks can stand in a file.
        values, _ = scale(recipe, "large", 1)
        scheduled = float(values["learning_rate"])
        rate = _number(self.flags.get("learning_rate"))
        if rate is not None and abs(rate - scheduled / ranks) > 1e-9:
            yield self.finding(
                "learning-rate", ERROR if rate > scheduled / ranks else WARNING,
                f"learning rate {shown(rate)} with {ranks} ranks",
                "run_pretraining.py multiplies it by the ranks: "
                f"{shown(scheduled)} / {ranks} is upstream's",
                f"--learning_rate={shown(scheduled / ranks)}", "--learning_rate",
            )  # fmt: skip
        batch = _number(self.flags.get("train_batch_size"))
        steps = _number(self.flags.get("num_accumulation_steps"))
        if batch and steps and batch * steps * ranks != values["global_batch"]:
            wanted = values["global_batch"] / (batch * ranks)
            yield self.finding(
                "learning-rate", WARNING,
                f"a global batch of {shown(int(batch * steps * ranks))}, not "
                f"{shown(values['global_batch'])}",
                f"batch {shown(int(batch))} x accumulation {shown(int(steps))} x {ranks} ranks; "
                "the learning rate is made for the other",
                f"--num_accumulation_steps={wanted:g}", "--num_accumulation_steps",
            )  # fmt: skip

    def _places(self, container: Node) -> Iterator[Finding]:
        mounts = [mount["mountPath"].text() for mount in container["volumeMounts"].entries()]
        for flag, value in self.flags.items():
            if not _PLACES.fullmatch(flag) or not value.startswith("/"):
                continue
            path = PurePosixPath(value)
            inside = [*mounts, *_OF_THE_IMAGE]
            if not any(_is_below(path, mount) for mount in inside):
                yield self.finding(
                    "places", ERROR, f"--{flag}={value} is on no volume",
                    f"mounted are: {', '.join(mounts) or 'none'}; what is written there goes with "
                    "the pod, what is read there is not there",
                    "a path below one of them", f"--{flag}",
                )  # fmt: skip


def _calls(container: Node, source: Sequence[str]) -> Iterator[_Call]:
    if "/pytorch-" in container["image"].text():
        return  # other scripts of the same names
    found = list(scripts(container, source))
    for script in found:
        for command in script.commands():
            match = _TRAINS.search(command)
            if match:
                yield _Call(match.group(), command, script.node, script)
    if not found:
        words = arguments(container)
        text = " ".join(word.text() for word in words)
        match = _TRAINS.search(text)
        if match:
            yield _Call(match.group(), text, words[0], None)


def _value(word: str, text: str, depth: int = 5) -> Optional[int]:
    """The number that a word of a script stands for, through its own plain assignments."""
    if re.fullmatch(r"[0-9]{1,9}", word):
        return int(word)
    if depth == 0:
        return None
    product = re.fullmatch(r"\$\(\((\w+)\*(\w+)\)\)", word)
    if product:
        first, second = (
            _value(name if name.isdecimal() else f"${name}", text, depth - 1)
            for name in product.groups()
        )
        return None if first is None or second is None else first * second
    name = re.fullmatch(r"\$\{?(\w{1,40})\}?", word)
    assigned = name and re.search(rf"\b{name.group(1)}=([^\s;]+)", text)
    return _value(assigned.group(1), text, depth - 1) if assigned else None


def _number(text: Optional[str]) -> Optional[float]:
    match = re.fullmatch(r"[0-9]{0,9}\.?[0-9]{0,12}(?:e-?[0-9]{1,2})?", text or "")
    try:
        return float(match.group()) if match else None
    except ValueError:
        return None


def _is_below(path: PurePosixPath, mount: str) -> bool:
    return bool(mount) and (str(path) == mount or PurePosixPath(mount) in path.parents)

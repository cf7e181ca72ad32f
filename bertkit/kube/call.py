"""A call of one of bertkit's commands, turned into work for the cluster.

The options are those of the command as the user gave them here; they are passed on to the bertkit
in the pod. Paths that were not given come from the settings; what was given must be a path as the
pod sees it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from bertkit.config import Settings
from bertkit.errors import UsageProblem
from bertkit.kube.work import Work

#: options that take a place, an address or one of these words
_PLACES_OR_WORDS = {"--init-checkpoint", "--from", "--upstream"}
_WORDS = {"auto", "none", "pretrained", "standin"}

#: stages that fetch or prepare little
_SMALL = {"mrpc", "squad", "pretrained", "books"}


@dataclass(frozen=True)
class Parameter:
    """One option or argument of the wrapped command.

    Attributes:
        name: as the command's function calls it.
        option: as it is written, or None for an argument.
        value: given or default.
        given: whether the user gave it.
        is_flag: whether it stands alone.
        is_path: whether it names a place.
    """

    name: str
    option: Optional[str]
    value: Any
    given: bool = False
    is_flag: bool = False
    is_path: bool = False

    def written(self) -> List[str]:
        """The parameter as arguments."""
        if self.is_flag:
            return [str(self.option)] if self.value else []
        many = isinstance(self.value, (tuple, list))
        values = [str(each) for each in (self.value if many else [self.value])]
        return values if self.option is None else [f"{self.option}={value}" for value in values]


def work(
    words: Sequence[str], parameters: Sequence[Parameter], settings: Settings, *, shares: int = 1
) -> Work:
    """The work that a call stands for.

    Args:
        words: ``train``; ``data`` and the stage; or ``prepare-repo``.
        parameters: of that command.
        settings: of the site.
        shares: pods that share a data stage.

    Raises:
        UsageProblem: an option makes no sense, here or in a cluster.
    """
    for parameter in parameters:
        _check_path(parameter)
    values = {each.name: each.value for each in parameters}
    if words[0] == "train":
        return _train(parameters, values, settings)
    if words[0] == "prepare-repo":
        return _prepare_repo(parameters, settings)
    return _data(words, parameters, settings, shares)


def _train(parameters: Sequence[Parameter], values: Mapping[str, Any], settings: Settings) -> Work:
    from bertkit.kube.numbers import train_notes

    if (values["phase"] is None) == (values["task"] is None):
        raise UsageProblem("say one of --phase and --task", next_step="bertkit train --help")
    for option, name in (("--hostfile", "hostfile"), ("--ssh-port", "ssh_port")):
        if values.get(name) is not None:
            raise UsageProblem(
                f"{option} is not for a cluster",
                why="the MPI operator says where the nodes are, and train finds it in the pod",
                next_step="say --nodes M --cards N",
            )
    job = f"phase{values['phase']}" if values["phase"] else str(values["task"])
    cards, nodes = int(values["cards"]), int(values.get("nodes") or 1)
    device = "hpu" if values["device"] == "auto" else str(values["device"])
    title, notes = train_notes(job, values, ranks=cards * nodes)
    set_here: Dict[str, str] = {"cards": str(cards), "device": device}
    if nodes > 1:
        set_here["nodes"] = str(nodes)
    places = {
        "repo": settings.repo,
        "data": settings.data,
        "output": f"{settings.results}/{job}",
    }
    arguments = _arguments(["train"], parameters, {**set_here, **_not_given(places, parameters)})
    output = values["output"] if values["output"] is not None else places["output"]
    return Work(
        job=job,
        component="train",
        title=title,
        arguments=arguments,
        cards=cards,
        nodes=nodes,
        device=device,
        needs_storage=(str(output),),
        notes=notes,
    )


def _prepare_repo(parameters: Sequence[Parameter], settings: Settings) -> Work:
    places = {"dest": settings.repo, "synapse_version": settings.release}
    set_here = _not_given(places, parameters)
    given = {each.name: str(each.value) for each in parameters if each.given}
    return Work(
        job="prepare-repo",
        component="prepare-repo",
        title="The patched Model-References, on shared storage",
        arguments=_arguments(["prepare-repo"], parameters, set_here),
        needs_storage=(given.get("dest", settings.repo),),
    )


def _data(
    words: Sequence[str], parameters: Sequence[Parameter], settings: Settings, shares: int
) -> Work:
    stage = words[1]
    job = f"data-{stage}"
    share = next((each for each in parameters if each.option == "--share" and each.given), None)
    if share is not None:
        if shares > 1:
            raise UsageProblem(
                "--indexed and --share cannot go together",
                why="in an indexed Job the pod's index says which share it does",
                next_step="leave one of them out",
            )
        job += f"-{str(share.value).partition('/')[0]}"  # a job for each share, side by side
    # `pack` takes a directory as an argument, instead of --data.
    has_argument = any(each.given and each.option is None for each in parameters)
    root = next((e for e in parameters if e.option == "--data" and not has_argument), None)
    set_here = {} if root is None or root.given else {root.name: settings.data}
    values = {each.name: each.value for each in parameters}
    if values.get("engine") == "upstream":
        set_here.update(_not_given({"repo": settings.repo}, parameters))
    storage = [str(each.value) for each in parameters if each.given and each.option == "--output"]
    if root is not None:
        storage.append(str(root.value) if root.given else settings.data)
    return Work(
        job=job,
        component="data",
        title=f"Data: {stage}" + (f", shared by {shares} pods" if shares > 1 else ""),
        arguments=_arguments(words, parameters, set_here),
        resources="small" if stage in _SMALL else "data",
        shares=shares,
        needs_storage=tuple(storage),
    )


def _arguments(
    words: Sequence[str], parameters: Sequence[Parameter], set_here: Mapping[str, str]
) -> Tuple[str, ...]:
    """The arguments inside the pod: the user's, and those that are set here."""
    arguments = list(words)
    rest: List[str] = []
    for each in parameters:
        if each.name in set_here:
            arguments.append(f"{each.option}={set_here[each.name]}")
        elif each.given:
            (rest if each.option is None else arguments).extend(each.written())
    return tuple(arguments + (["--", *rest] if rest else []))


def _not_given(places: Mapping[str, str], parameters: Sequence[Parameter]) -> Dict[str, str]:
    given = {each.name for each in parameters if each.given}
    return {name: place for name, place in places.items() if name not in given}


def _check_path(parameter: Parameter) -> None:
    names_a_place = parameter.is_path or parameter.option in _PLACES_OR_WORDS
    if not parameter.given or not names_a_place:
        return
    values = parameter.value if isinstance(parameter.value, (tuple, list)) else [parameter.value]
    for value in map(str, values):
        if not parameter.is_path and ("://" in value or value in _WORDS):
            continue
        if not value.startswith("/") or ".." in value.split("/"):
            raise UsageProblem(
                f"{parameter.option or parameter.name}: {value} is no place in a pod",
                why="it must be a whole path, as the containers see it",
                next_step="name it from / on; `bertkit config show` lists the site's volumes",
            )

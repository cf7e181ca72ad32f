"""bertkit's own commands, wrapped: the same options, but what they do is done in a cluster.

``manifest`` and ``submit`` use this. The wrapped command's options are taken over as they are, so
an option that ``train`` gains is there as well. What the user gave is passed on to the bertkit in
the pod; paths that he did not give come from the settings.
"""

from __future__ import annotations

import copy
import os
from typing import Any, Callable, Mapping, Sequence

import click

from bertkit.cli.common import Group, common_options
from bertkit.config import Settings, resolve
from bertkit.kube.call import Parameter, work

#: of the wrapped commands: they speak of this machine's run, not of the one in the cluster
_LEFT_OUT = {"as_json", "verbose", "quiet", "dry_run"}

_SITE_OPTIONS = [
    click.Option(["--site"], metavar="NAME|FILE", help="The site's profile."),
    click.Option(["--user", "site_user"], metavar="NAME", help="Your name on the cluster."),
    click.Option(["--namespace"], help="Where the job goes."),
    click.Option(["--name", "object_name"], metavar="NAME", help="The job's name."),
    click.Option(["--image"], metavar="IMAGE", help="Instead of the site's."),
    click.Option(
        ["--mpijob-version"], type=click.Choice(["v2beta1", "v1"]), help="The operator's API."
    ),
    click.Option(
        ["--kind"], type=click.Choice(["job", "pod"]), help="For work that needs one pod."
    ),
]
_RELEASE = click.Option(["--release"], metavar="X.Y.Z", help="The SynapseAI release of the image.")
_INDEXED = click.Option(
    ["--indexed", "shares"],
    type=click.IntRange(2, 1000),
    metavar="N",
    help="An indexed Job: N pods share the work.",
)
#: options that name places, which lie elsewhere in a cluster
_PLACES = {
    "--repo": "The checkout",
    "--dest": "Where the checkout goes",
    "--data": "The data directory",
}
#: What is done with the manifest: gets it, whether JSON is wanted, and options of its own.
Action = Callable[..., None]


def add_commands(group: click.Group, action: Action, own: Sequence[click.Option] = ()) -> None:
    """Add ``train``, ``data ...``, ``prepare-repo`` and ``pretrained`` to *group*.

    Args:
        group: such as ``bertkit manifest``.
        action: called as ``action(manifest, as_json=..., **own options)``.
        own: options that *group*'s commands have besides.
    """
    from bertkit.cli import data, prepare_repo, train

    group.add_command(_wrapped(train.command, ("train",), action, own))
    group.add_command(_wrapped(prepare_repo.command, ("prepare-repo",), action, own))
    stages = Group("data", help="Make or fetch the data that training needs, in a cluster.")
    for name, stage in data.command.commands.items():
        if name != "status":
            stages.add_command(_wrapped(stage, ("data", name), action, own))
            if name == "pretrained":
                group.add_command(_wrapped(stage, ("data", name), action, own), name)
    group.add_command(stages)


def _wrapped(
    command: click.Command, words: Sequence[str], action: Action, own: Sequence[click.Option]
) -> click.Command:
    places = {**_PLACES, "--output": "The results"} if words == ("train",) else _PLACES
    taken = [_taken(each, places) for each in command.params if each.name not in _LEFT_OUT]
    shareable = any("--share" in each.opts for each in taken)
    site = [*_SITE_OPTIONS, *([_INDEXED] if shareable else [])]
    if not any("--synapse-version" in each.opts for each in taken):
        site.append(_RELEASE)

    @common_options
    def run(as_json: bool, **options: Any) -> None:
        from bertkit.kube.manifest import render

        settings = settings_of(options)
        asked = work(
            words,
            [_parameter(each, options[str(each.name)]) for each in taken],
            settings,
            shares=options.get("shares") or 1,
        )
        manifest = render(asked, settings, name=options["object_name"], kind=options["kind"])
        action(
            manifest, as_json=as_json, **{str(each.name): options[str(each.name)] for each in own}
        )

    wrapped = click.command(words[-1])(run)
    first = (command.help or "").strip().splitlines()[0].rstrip(".")
    wrapped.help = f"{first}, in a cluster."
    wrapped.params = [*taken, *site, *own, *wrapped.params]
    return wrapped


def settings_of(options: Mapping[str, Any]) -> Settings:
    """The settings of a site, as far as *options* have a say in them."""
    release = options.get("synapse_version") or options.get("release")
    said = {
        "user": options.get("site_user"),
        "namespace": options.get("namespace"),
        "image": options.get("image"),
        "mpijob_version": options.get("mpijob_version"),
        "release": release,
    }
    chosen = {key: value for key, value in said.items() if value is not None}
    return resolve(os.environ, chosen, site=options.get("site")).settings()


def _taken(parameter: click.Parameter, places: Mapping[str, str]) -> click.Parameter:
    """A parameter of the wrapped command, for the wrapper."""
    taken = copy.copy(parameter)
    taken.envvar = None  # this machine's variables name places of this machine
    place = next((places[each] for each in taken.opts if each in places), None)
    if place is not None and isinstance(taken, click.Option):
        taken.required = False  # the settings know it
        taken.show_default = "the site's"
        taken.help = f"{place}, as the pod sees it."
    return taken


def _parameter(parameter: click.Parameter, value: Any) -> Parameter:
    context = click.get_current_context()
    is_option = isinstance(parameter, click.Option)
    source = context.get_parameter_source(str(parameter.name))
    given = source is click.core.ParameterSource.COMMANDLINE
    return Parameter(
        name=str(parameter.name),
        option=max(parameter.opts, key=len) if is_option else None,
        value=value,
        given=given and value not in (None, ()),
        is_flag=is_option and bool(getattr(parameter, "is_flag", False)),
        is_path=isinstance(parameter.type, click.Path),
    )

"""``bertkit patches``: list, check, apply and undo the patches of a checkout."""

from __future__ import annotations

import functools
from dataclasses import asdict
from pathlib import Path
from typing import Any, Callable, Optional, Tuple

import click
from click.core import ParameterSource

from bertkit.cli.common import Group, common_options, print_json
from bertkit.cli.options import ONLY, PATH, RELEASE, dry_run_option, patches_of, repo_option


@click.group("patches", cls=Group)
def command() -> None:
    """List, check, apply and undo the patches of a checkout."""


def _tree_options(function: Callable[..., Any]) -> Any:
    """Add ``--repo`` and ``--release``, passed on as one ``checkout``."""

    @repo_option()
    @RELEASE
    @functools.wraps(function)
    def wrapper(*args: Any, repo: Path, release: Optional[str], **options: Any) -> Any:
        from bertkit.patching.checkout import opened

        return function(*args, checkout=opened(repo, release), **options)

    return wrapper


@command.command("list")
@common_options
def list_command(as_json: bool) -> None:
    """List the patches in the order in which they apply."""
    from bertkit.patching import load_series

    series = load_series()
    if as_json:
        print_json([patch.as_dict() for patch in series.patches])
        return
    for patch in series.patches:
        click.echo(f"{patch.id}  ({patch.releases})")
        for label, text in (
            ("title", patch.title),
            ("mends", patch.defect),
            ("upstream", patch.upstream_status),
            ("origin", patch.origin),
        ):
            click.echo(f"  {label + ':':<10} {text}")


@command.command("status")
@_tree_options
@common_options
def status_command(checkout: Any, as_json: bool) -> None:
    """Show the state of each patch and of each of its files in a checkout."""
    from bertkit.patching import load_series, states

    found = states(checkout.tree, checkout.release, load_series())
    if as_json:
        print_json({"release": checkout.release, "patches": [asdict(patch) for patch in found]})
        return
    click.echo(f"{checkout.tree}: release {checkout.release}")
    for patch in found:
        click.echo(f"{patch.state:<20} {patch.id}")
        for file in patch.files:
            note = f"  ({file.note})" if file.note else ""
            click.echo(f"  {file.state:<18} {(file.blob or '-')[:12]:<12} {file.path}{note}")


@command.command("check")
@click.option("--all-releases", is_flag=True, help="Every release of the catalogue instead.")
@click.option(
    "--mirror",
    type=PATH,
    metavar="DIR",
    help="With --all-releases: a local clone of upstream, to try the diffs on its real contents.",
)
@repo_option()
@RELEASE
@ONLY
@common_options
def check_command(
    all_releases: bool,
    mirror: Optional[Path],
    repo: Path,
    release: Optional[str],
    only: Optional[str],
    as_json: bool,
) -> Optional[int]:
    """Say whether the series applies: to a checkout, or to all releases (a table).

    Ends with 4 where it does not.
    """
    from bertkit.errors import UsageProblem

    if all_releases:
        named = click.get_current_context().get_parameter_source("repo")
        if named is ParameterSource.COMMANDLINE or release or only:
            raise UsageProblem("--all-releases needs no checkout and takes no choice of patches")
        return _check_all(mirror, as_json)
    if mirror is not None:
        raise UsageProblem("--mirror goes with --all-releases")
    from bertkit.patching import apply_series, load_series
    from bertkit.patching.checkout import opened

    checkout = opened(repo, release)
    carried = apply_series(
        checkout.tree, checkout.release, load_series(), only=patches_of(only), dry_run=True
    )
    _print_patches("the checkout carries or can take", carried, as_json)
    return None


@command.command("apply")
@_tree_options
@ONLY
@dry_run_option()
@common_options
def apply_command(checkout: Any, only: Optional[str], dry_run: bool, as_json: bool) -> None:
    """Apply the series, or the patches named by --only; all of them or none."""
    from bertkit.patching import apply_series, load_series

    carried = apply_series(
        checkout.tree, checkout.release, load_series(), only=patches_of(only), dry_run=dry_run
    )
    verb = "would carry" if dry_run else "carries"
    _print_patches(f"{checkout.tree} {verb}", carried, as_json)


@command.command("unapply")
@_tree_options
@ONLY
@dry_run_option()
@common_options
def unapply_command(checkout: Any, only: Optional[str], dry_run: bool, as_json: bool) -> None:
    """Take patches out again, where the checkout is what its lock says."""
    from bertkit.patching import load_series, unapply_series

    undone = unapply_series(checkout.tree, load_series(), only=patches_of(only), dry_run=dry_run)
    _print_patches("would be undone" if dry_run else "undone", undone, as_json)


@command.command("diff")
@_tree_options
@ONLY
@common_options
def diff_command(checkout: Any, only: Optional[str], as_json: bool) -> None:
    """Print the diffs that a checkout carries, or that `apply` would apply."""
    from bertkit.patching import diff_series, load_series

    text = diff_series(checkout.tree, checkout.release, load_series(), only=patches_of(only))
    if as_json:
        print_json({"release": checkout.release, "diff": text})
    else:
        click.echo(text, nl=False)


@command.command("refresh")
@click.option(
    "--onto", required=True, metavar="X.Y.Z|standin", help="The release to carry the patches to."
)
@click.option(
    "--mirror", type=PATH, metavar="DIR",
    help="A local clone of upstream that has that release (not needed for the stand-in).",
)  # fmt: skip
@click.option(
    "--patches", "directory", type=PATH, metavar="DIR", show_default="bertkit's own",
    help="The folder of patches to write to.",
)  # fmt: skip
@ONLY
@dry_run_option()
@common_options
def refresh_command(
    onto: str,
    mirror: Optional[Path],
    directory: Optional[Path],
    only: Optional[str],
    dry_run: bool,
    as_json: bool,
) -> None:
    """For maintainers: carry the patches to a new release by a three-way merge.

    Writes new diffs and blob ids into the folders of the patches, or shows the conflict.
    """
    from bertkit.patching import load_series
    from bertkit.patching.refresh import refresh

    made = refresh(load_series(directory), onto, mirror, only=patches_of(only), dry_run=dry_run)
    if as_json:
        print_json([asdict(each) for each in made])
        return
    for each in made:
        click.echo(f"{each.how:<10} {each.patch}: {each.path} ({each.pre[:12]})")
    if not made:
        click.echo(f"every patch fits {onto} already")


def _check_all(mirror: Optional[Path], as_json: bool) -> int:
    from bertkit.patching import load_series
    from bertkit.patching.matrix import matrix

    series = load_series()
    rows = matrix(series, mirror)
    good = all(row.fits for row in rows)
    if as_json:
        print_json({"fits": good, "releases": [asdict(row) for row in rows]})
        return 0 if good else 4
    widths = [max(len(patch.id), 12) for patch in series.patches]
    names = "  ".join(f"{p.id:<{width}}" for p, width in zip(series.patches, widths))
    click.echo(f"{'release':<9} {names}".rstrip())
    for row in rows:
        cells = "  ".join(f"{p.state:<{width}}" for p, width in zip(row.patches, widths))
        click.echo(f"{row.release:<9} {cells}".rstrip())
        for problem in row.problems:
            click.echo(f"          {problem}")
    fitting = sum(row.fits for row in rows)
    tried = " (tried on the real contents)" if mirror else " (by blob id)"
    click.echo(f"the whole series fits {fitting} of {len(rows)} releases{tried}")
    return 0 if good else 4


def _print_patches(heading: str, patches: Tuple[Any, ...], as_json: bool) -> None:
    if as_json:
        print_json([asdict(patch) for patch in patches])
        return
    click.echo(f"{heading}: {'' if patches else 'no patches'}".rstrip())
    for patch in patches:
        click.echo(f"  {patch.id}")
        for file in patch.files:
            click.echo(f"    {file.pre[:12]} -> {file.post[:12]}  {file.path}")

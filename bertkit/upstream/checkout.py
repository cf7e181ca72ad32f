"""A checkout of one upstream release, holding only what BERT needs.

It is built in a fresh directory beside its destination and renamed into place when it is
complete, so a destination either holds a whole checkout with a lock or was not touched.

What comes over the network: one commit with its trees, then, in one request, the few dozen
files below ``PATHS``; under 1 MB instead of 60. A server that cannot filter or cannot give single
commits gets asked for more, never for less.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, List

from bertkit.blobs import blob_id
from bertkit.errors import BertkitError, EnvironmentUnfit, UpstreamUnavailable
from bertkit.files import sync_directory
from bertkit.upstream import trouble
from bertkit.upstream.catalogue import Release
from bertkit.upstream.git import GitFailed, GitStalled, isolated, require_git, run
from bertkit.upstream.lock import STATE_DIRECTORY
from bertkit.upstream.source import Source

log = logging.getLogger("bertkit")

BERT = "TensorFlow/nlp/bert"
_FILTER_KEY = "remote.origin.partialclonefilter"

# Sparse patterns. `central` holds helpers that the download scripts import up to 1.7.1.
# Without the two hidden files, `git status` in the checkout would fetch them from the server.
PATHS = (
    "/.gitignore",
    "/.gitattributes",
    "/TensorFlow/.gitignore",
    "/TensorFlow/.gitattributes",
    "/TensorFlow/__init__.py",
    f"/{BERT}/",
    "/TensorFlow/common/",
    "!/TensorFlow/common/image_classification/",
    "/central/",
    "!*.png",
    "!*.gif",
    "!*.jpg",
)


@dataclass(frozen=True)
class Fetched:
    """What a fetch brought.

    Attributes:
        commit: the 40 hex digits that HEAD is at.
        moved: the head had moved from the catalogue's commit and could not be had any more.
        changed: files of the catalogue that are not what it says, by path.
    """

    commit: str
    moved: bool
    changed: List[str]


def fetch(source: Source, release: Release, tree: Path, *, partial: bool = True) -> Fetched:
    """Make the existing empty directory *tree* a checkout of *release*.

    Args:
        source: a repository, not ``standin``.
        release: which branch, and the commit that is wanted.
        tree: an empty directory; left half-filled on errors.
        partial: leave out what BERT does not need. Without it the whole commit comes.

    Raises:
        UpstreamUnavailable: it cannot be had; the words say why.
        EnvironmentUnfit: there is no git, or no space.
    """
    require_git()
    with isolated(source.protocol):
        try:
            _initialise(tree, source, partial=partial)
            commit = _fetch_commit(tree, source, release)
            # The one further request: all blobs that the sparse patterns want.
            run(["checkout", "--quiet", "-B", release.version, commit], where=tree)
        except GitStalled as stall:
            raise trouble.stalled(stall.seconds, source) from None
        except GitFailed as failure:
            raise trouble.explained(failure.message, source) from None
    if not (tree / BERT).is_dir():
        raise trouble.without_bert(release.version, source, commit)
    changed = differing(tree, release)
    if changed and commit == release.commit:
        raise UpstreamUnavailable(
            "what was checked out is not what its commit says",
            where=", ".join(changed[:5]),
            why="a git attribute, filter or the file system changes files on the way",
            next_step="look at `git config --list --show-origin` for filters, and run it again",
        )
    return Fetched(commit=commit, moved=commit != release.commit, changed=changed)


def differing(tree: Path, release: Release) -> List[str]:
    """Files of the catalogue that are missing from *tree* or have other content, by path."""
    found = []
    for name, expected in release.files.items():
        path = tree / name
        if path.is_symlink() or not path.is_file() or blob_id(path.read_bytes()) != expected:
            found.append(name)
    return found


def _initialise(tree: Path, source: Source, *, partial: bool) -> None:
    import git

    with git.Repo.init(str(tree)) as repository:
        with repository.config_writer() as config:
            config.set_value('remote "origin"', "url", source.url)
            config.set_value('remote "origin"', "fetch", "+refs/heads/*:refs/remotes/origin/*")
            if partial:
                # Said before the first fetch: git before 2.28 refuses --filter otherwise.
                config.set_value("core", "repositoryformatversion", "1")
                config.set_value("extensions", "partialClone", "origin")
                config.set_value('remote "origin"', "promisor", "true")
                config.set_value('remote "origin"', "partialclonefilter", "blob:none")
                config.set_value("core", "sparseCheckout", "true")
            # Patches are chosen by blob id: what the user does here later must keep bytes too.
            config.set_value("core", "autocrlf", "false")
        information = Path(repository.git_dir) / "info"
    information.mkdir(exist_ok=True)
    (information / "exclude").write_text(f"/{STATE_DIRECTORY}/\n", encoding="utf-8")
    if partial:
        (information / "sparse-checkout").write_text("\n".join(PATHS) + "\n", encoding="utf-8")


def _fetch_commit(tree: Path, source: Source, release: Release) -> str:
    """Fetch the release's commit, or its branch's head where that cannot be had; which it was."""
    log.info("fetching %s at %s from %s", release.version, release.commit[:12], source.url)
    try:
        _fetch(tree, release.commit, "--depth=1", *_filter(tree))
        return release.commit
    except GitFailed as failure:
        if trouble.lacks_shallow(failure.message):
            log.info("this server knows no shallow fetch: fetching the branch's whole history")
            _forget_promises(tree)
            options = []
        elif trouble.gives_branches_only(failure.message):
            # It would not give single files later either, so all of them have to come now.
            log.info("this server does not give single commits: fetching all of the branch's head")
            _forget_promises(tree)
            options = ["--depth=1"]
        elif trouble.lacks_commit(failure.message):
            log.info("the commit is not there any more: fetching the branch's head")
            options = ["--depth=1", *_filter(tree)]
        else:
            raise
    return _fetch_branch(tree, source, release, options)


def _fetch_branch(tree: Path, source: Source, release: Release, options: List[str]) -> str:
    try:
        _fetch(tree, f"refs/heads/{release.version}", *options)
    except GitFailed as failure:
        if trouble.is_missing_branch(failure.message):
            raise trouble.missing_branch(release.version, source) from None
        raise
    if "--depth=1" not in options and _has_ancestor(tree, release.commit):
        return release.commit
    return run(["rev-parse", "--verify", "FETCH_HEAD^{commit}"], where=tree).strip()


def _has_ancestor(tree: Path, commit: str) -> bool:
    try:
        run(["merge-base", "--is-ancestor", commit, "FETCH_HEAD"], where=tree)
    except GitFailed:
        return False
    return True


def _fetch(tree: Path, what: str, *options: str) -> None:
    fixed = ["fetch", "--quiet", "--no-tags", "--no-recurse-submodules"]
    run([*fixed, *options, "origin", what], where=tree)


def _forget_promises(tree: Path) -> None:
    """Make *tree* an ordinary repository again, for a server that cannot fill gaps later.

    git would go on asking it for each missing object, from within each request, without end.
    """
    for key in ("extensions.partialClone", "remote.origin.promisor", _FILTER_KEY):
        with contextlib.suppress(GitFailed):  # not set: everything was asked for from the start
            run(["config", "--unset", key], where=tree)


def _filter(tree: Path) -> List[str]:
    partial = (tree / ".git" / "info" / "sparse-checkout").exists()
    return ["--filter=blob:none"] if partial else []


@contextlib.contextmanager
def staging(destination: Path) -> Iterator[Path]:
    """An empty directory beside *destination*; gone at the end unless it was put into place.

    The caller holds the destination's lock, so whatever an earlier, killed run left is cleared.

    Raises:
        EnvironmentUnfit: the directory above *destination* cannot be written.
    """
    parent = destination.parent
    try:
        parent.mkdir(parents=True, exist_ok=True)
        for leftover in parent.glob(f"{_prefix(destination)}*"):
            log.info("clearing what a killed run left: %s", leftover.name)
            _remove(leftover)
        directory = Path(tempfile.mkdtemp(prefix=_prefix(destination), dir=parent))
    except OSError as error:
        raise _unwritable(parent, error) from None
    try:
        yield directory
    finally:
        _remove(directory)


def put_into_place(directory: Path, destination: Path) -> None:
    """Give the finished *directory* its name *destination*, which is absent or empty.

    Raises:
        EnvironmentUnfit: that is not possible, as when *destination* is a mount point.
    """
    try:
        mask = os.umask(0)
        os.umask(mask)
        directory.chmod(0o777 & ~mask)  # mkdtemp's is 0700, which other users of a node cannot read
        directory.rename(destination)
        sync_directory(destination.parent)
    except OSError as error:
        raise EnvironmentUnfit(
            "the finished checkout cannot be given its name",
            where=destination,
            why=error.strerror or str(error),
            next_step=f"choose a directory that does not exist yet, such as {destination}/bert",
        ) from None


def refuse_foreign(destination: Path) -> None:
    """Check that *destination*, which has no lock, may become a checkout.

    Raises:
        EnvironmentUnfit: something else is there.
    """
    if destination.is_symlink() or destination.exists():
        if not destination.is_dir():
            raise EnvironmentUnfit(
                "the destination is not a directory",
                where=destination,
                next_step="choose another --dest",
            )
        if any(destination.iterdir()):
            raise EnvironmentUnfit(
                "the destination is not empty, and bertkit did not make it",
                where=destination,
                why=f"it has no {STATE_DIRECTORY}/lock.json",
                next_step="choose another --dest, or move this directory away",
            )


def _prefix(destination: Path) -> str:
    return f".{destination.name}.bertkit-"


def _remove(directory: Path) -> None:
    # A git that was orphaned by kill -9 may still write for an instant.
    for attempt in range(20):
        shutil.rmtree(directory, ignore_errors=True)
        if not directory.exists():
            return
        time.sleep(0.05 * (attempt + 1))
    log.warning("could not clear %s: remove it by hand", directory)


def _unwritable(parent: Path, error: OSError) -> BertkitError:
    return EnvironmentUnfit(
        "the directory above the destination cannot be written",
        where=parent,
        why=error.strerror or str(error),
        next_step="choose another --dest",
    )

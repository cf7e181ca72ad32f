"""The stand-in as a git repository, so that it is fetched and patched like the real upstream."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from bertkit.resources import shipped
from bertkit.upstream.catalogue import Release
from bertkit.upstream.git import isolated, require_git
from bertkit.upstream.source import Source

# The release that the look-alike was written after, taken when nothing else is known.
DEFAULT_RELEASE = "1.13.0"
_WHEN = "1709856000 +0000"  # seconds since the epoch, as git writes it: 2024-03-08


def build(directory: Path, release: Release) -> tuple[Source, Release]:
    """Make *directory* (absent) a repository of the stand-in's files, with the release's branch.

    The same files always give the same commit: author, date and message are fixed.

    Returns:
        Where to fetch from, and *release* with the stand-in's own commit and without the blob ids
        of the real one.

    Raises:
        EnvironmentUnfit: there is no git.
    """
    require_git()
    import git

    shutil.copytree(
        shipped("standin"), directory, ignore=shutil.ignore_patterns("__pycache__", "*.pyc", ".*")
    )
    with isolated("file"), git.Repo.init(str(directory)) as repository:
        with repository.config_writer() as config:
            config.set_value("core", "autocrlf", "false")
        names = sorted(
            str(path.relative_to(directory))
            for path in directory.rglob("*")
            if path.is_file() and ".git" not in path.relative_to(directory).parts
        )
        repository.index.add(names)
        somebody = git.Actor("bertkit", "bertkit@localhost")
        commit = repository.index.commit(
            f"The stand-in for Model-References {release.version}",
            author=somebody,
            committer=somebody,
            author_date=_WHEN,
            commit_date=_WHEN,
            skip_hooks=True,
        )
        branch = repository.create_head(release.version, commit)
        repository.head.reference = branch
        with repository.config_writer() as config:
            config.set_value("uploadpack", "allowAnySHA1InWant", "true")
        found = str(commit.hexsha)
    return (
        Source(directory.resolve().as_uri(), "the stand-in"),
        replace(release, commit=found, files={}),
    )


def detach(tree: Path) -> None:
    """Make the checkout *tree* forget the scratch repository that it was fetched from."""
    import git

    with isolated("file"), git.Repo(str(tree)) as repository:
        repository.delete_remote(repository.remote("origin"))

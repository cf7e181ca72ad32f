"""Fetching one release from real repositories: local ones, and HTTPS servers good and bad."""

from __future__ import annotations

import os
import socket
from dataclasses import replace

import pytest

from bertkit.errors import EnvironmentUnfit, UpstreamUnavailable, UsageProblem
from bertkit.upstream.checkout import fetch, put_into_place, refuse_foreign, staging
from bertkit.upstream.git import GitStalled, isolated, limit_seconds, remote_branches, run
from bertkit.upstream.scan import scan
from bertkit.upstream.source import Source

from .repositories import FILES, commit, git, upstream
from .servers import (
    TLS,
    BrokenHandler,
    CuttingHandler,
    DumbHandler,
    ForbiddingHandler,
    GitHandler,
    StallingHandler,
    serving,
)

WANTED = {
    name
    for name in FILES
    if name.startswith(("TensorFlow/nlp/bert/", "TensorFlow/common/tb", ".gitignore"))
    and not name.endswith(".png")
}


@pytest.fixture(autouse=True)
def own_configuration(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_SSL_CAINFO", str(TLS / "authority.pem"))
    return tmp_path / "gitconfig"


@pytest.fixture
def tree(tmp_path):
    directory = tmp_path / "tree"
    directory.mkdir()
    return directory


def local(path):
    return Source(path.as_uri(), "--upstream")


def remote(base, path="/up"):
    return Source(base + path, "--upstream")


def files_of(tree):
    return {
        str(path.relative_to(tree))
        for path in tree.rglob("*")
        if path.is_file() and ".git" not in path.relative_to(tree).parts
    }


def objects_of(tree):
    listed = git(tree, "cat-file", "--batch-all-objects", "--batch-check=%(objecttype)")
    return listed.splitlines()


# ---------------------------------------------------------------- what is fetched


def test_only_what_bert_needs_is_fetched_at_the_pinned_commit(tmp_path, tree):
    release = upstream(tmp_path / "up")
    fetched = fetch(local(tmp_path / "up"), release, tree)
    assert (fetched.commit, fetched.moved, fetched.changed) == (release.commit, False, [])
    assert files_of(tree) == WANTED
    assert objects_of(tree).count("blob") == len(WANTED)
    assert git(tree, "rev-parse", "HEAD") == release.commit
    assert git(tree, "branch", "--show-current") == "1.13.0"
    assert git(tree, "rev-list", "--count", "HEAD") == "1"


def test_the_checkout_is_clean_and_ignores_bertkits_own_directory(tmp_path, tree):
    fetch(local(tmp_path / "up"), upstream(tmp_path / "up"), tree)
    (tree / ".bertkit").mkdir()
    (tree / ".bertkit/lock.json").write_text("{}")
    assert git(tree, "status", "--porcelain") == ""


def test_the_pinned_commit_is_fetched_though_the_branch_has_moved_on(tmp_path, tree):
    release = upstream(tmp_path / "up")
    commit(tmp_path / "up", {"TensorFlow/nlp/bert/run_pretraining.py": "print('newer')\n"})
    fetched = fetch(local(tmp_path / "up"), release, tree)
    assert (fetched.commit, fetched.moved) == (release.commit, False)


def test_a_head_that_replaced_the_pinned_commit_is_taken_and_reported(tmp_path, tree):
    release = upstream(tmp_path / "up")
    head = commit(tmp_path / "up", {"TensorFlow/nlp/bert/run_pretraining.py": "print('newer')\n"})
    fetched = fetch(local(tmp_path / "up"), replace(release, commit="1" * 40), tree)
    assert (fetched.commit, fetched.moved) == (head, True)
    assert fetched.changed == ["TensorFlow/nlp/bert/run_pretraining.py"]


def test_a_server_that_gives_branches_only_is_asked_for_the_branch(
    tmp_path, tree, own_configuration
):
    release = upstream(tmp_path / "up")
    head = commit(tmp_path / "up", {"TensorFlow/nlp/bert/new.py": ""})
    own_configuration.write_text("[protocol]\n\tversion = 0\n")  # the one with that restriction
    fetched = fetch(local(tmp_path / "up"), release, tree)
    assert (fetched.commit, fetched.moved, fetched.changed) == (head, True, [])


def test_a_server_without_filters_sends_more_and_the_checkout_is_the_same(tmp_path, tree):
    release = upstream(tmp_path / "up", server_can_filter=False)
    fetched = fetch(local(tmp_path / "up"), release, tree)
    assert fetched.commit == release.commit
    assert files_of(tree) == WANTED


def test_everything_is_fetched_when_it_is_asked_for(tmp_path, tree):
    fetch(local(tmp_path / "up"), upstream(tmp_path / "up"), tree, partial=False)
    assert files_of(tree) == set(FILES)


def test_a_mirror_that_lacks_large_files_is_good_enough(tmp_path, tree):
    release = upstream(tmp_path / "full")
    large = git(tmp_path / "full", "rev-parse", "HEAD:PyTorch/huge.bin")
    (tmp_path / "full/.git/objects" / large[:2] / large[2:]).unlink()
    fetched = fetch(local(tmp_path / "full"), release, tree)
    assert fetched.commit == release.commit
    assert files_of(tree) == WANTED


def test_a_real_https_server_serves_it(tmp_path, tree):
    release = upstream(tmp_path / "up")
    with serving(tmp_path, GitHandler) as base:
        fetched = fetch(remote(base), release, tree)
    assert fetched.commit == release.commit
    assert objects_of(tree).count("blob") == len(WANTED)


def test_a_dumb_https_server_serves_it_whole(tmp_path, tree):
    release = upstream(tmp_path / "up")
    commit(tmp_path / "up", {"TensorFlow/nlp/bert/new.py": ""})
    git(tmp_path / "up", "update-server-info")
    with serving(tmp_path, DumbHandler) as base:
        fetched = fetch(remote(base, "/up/.git"), release, tree)
    assert (fetched.commit, fetched.moved) == (release.commit, False)
    assert files_of(tree) == WANTED


# ---------------------------------------------------------------- what cannot be had


def refusal(source, release, tree):
    with pytest.raises(UpstreamUnavailable) as caught:
        fetch(source, release, tree)
    assert caught.value.exit_code == 5
    return str(caught.value)


def test_a_missing_branch_is_said_to_be_missing(tmp_path, tree):
    release = upstream(tmp_path / "up")
    missing = replace(release, version="1.14.0", commit="1" * 40)
    assert "has no branch 1.14.0" in refusal(local(tmp_path / "up"), missing, tree)


def test_a_branch_that_lost_bert_is_said_to_have_lost_it(tmp_path, tree):
    release = upstream(tmp_path / "up", files={"README.md": "gone\n"})
    said = refusal(local(tmp_path / "up"), release, tree)
    assert "has no TensorFlow/nlp/bert" in said


def test_a_directory_that_is_no_repository_is_said_to_be_none(tmp_path, tree):
    release = upstream(tmp_path / "up")
    (tmp_path / "empty").mkdir()
    assert "no upstream repository" in refusal(local(tmp_path / "empty"), release, tree)


def test_a_wrong_path_on_a_server_is_said_to_be_wrong(tmp_path, tree):
    release = upstream(tmp_path / "up")
    with serving(tmp_path, GitHandler) as base:
        said = refusal(remote(base, "/nothing"), release, tree)
    assert "no upstream repository" in said


def test_a_repository_that_wants_a_password_ends_without_asking(tmp_path, tree):
    release = upstream(tmp_path / "up")
    with serving(tmp_path, ForbiddingHandler) as base:
        said = refusal(remote(base), release, tree)
    assert "not public" in said


def test_a_host_without_an_address_is_said_to_have_none(tmp_path, tree):
    release = upstream(tmp_path / "up")
    source = Source("https://no-such-host.invalid/up", "--upstream")
    said = refusal(source, release, tree)
    assert "cannot be resolved" in said
    assert "--upstream standin" in said


def test_a_port_where_nobody_listens_is_said_not_to_answer(tmp_path, tree):
    release = upstream(tmp_path / "up")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        source = Source(f"https://127.0.0.1:{taken.getsockname()[1]}/up", "--upstream")
        assert "does not answer" in refusal(source, release, tree)


def test_an_unknown_certificate_is_said_not_to_be_trusted(tmp_path, tree, monkeypatch):
    release = upstream(tmp_path / "up")
    monkeypatch.delenv("GIT_SSL_CAINFO")
    with serving(tmp_path, GitHandler) as base:
        assert "not trusted" in refusal(remote(base), release, tree)


def test_a_server_that_breaks_off_in_the_middle_is_said_to(tmp_path, tree):
    release = upstream(tmp_path / "up")
    with serving(tmp_path, CuttingHandler) as base:
        assert "broke off in the middle" in refusal(remote(base), release, tree)


def test_a_server_with_errors_of_its_own_is_said_to_break_off(tmp_path, tree):
    release = upstream(tmp_path / "up")
    with serving(tmp_path, BrokenHandler) as base:
        assert "broke off in the middle" in refusal(remote(base), release, tree)


def test_a_server_that_stalls_is_given_up_after_the_limit(tmp_path, tree, monkeypatch):
    release = upstream(tmp_path / "up")
    monkeypatch.setenv("BERTKIT_GIT_TIMEOUT", "1")
    with serving(tmp_path, StallingHandler) as base:
        said = refusal(remote(base), release, tree)
    assert "did not finish in time" in said
    assert "BERTKIT_GIT_TIMEOUT" in said


def test_a_rewritten_address_cannot_lead_to_another_protocol(tmp_path, tree, own_configuration):
    release = upstream(tmp_path / "up")
    own_configuration.write_text(
        f'[url "ext::sh -c touch% {tmp_path}/ran %S"]\n\tinsteadOf = https://example.org/\n'
    )
    said = refusal(Source("https://example.org/up", "--upstream"), release, tree)
    assert "protocol that is refused" in said
    assert not (tmp_path / "ran").exists()


# ---------------------------------------------------------------- isolation


def test_no_hook_filter_or_foreign_variable_takes_part(
    tmp_path, tree, own_configuration, monkeypatch
):
    ran = tmp_path / "ran"
    hooks = tmp_path / "template/hooks"
    hooks.mkdir(parents=True)
    (hooks / "post-checkout").write_text(f"#!/bin/sh\ntouch {ran}\n")
    (hooks / "post-checkout").chmod(0o755)
    own_configuration.write_text(
        f"[init]\n\ttemplateDir = {hooks.parent}\n"
        f"[core]\n\thooksPath = {hooks}\n\tautocrlf = true\n\tfsmonitor = touch {ran}\n"
        f'[filter "lfs"]\n\tsmudge = touch {ran}\n\trequired = true\n'
    )
    other = tmp_path / "other"
    other.mkdir()
    monkeypatch.setenv("GIT_DIR", str(other / "nowhere"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / "index"))
    monkeypatch.setenv("GIT_SSH_COMMAND", f"touch {ran}")
    files = {**FILES, ".gitattributes": "*.py filter=lfs\n"}
    release = upstream(tmp_path / "up", files=files)
    fetched = fetch(local(tmp_path / "up"), release, tree)
    assert fetched.changed == []
    assert not ran.exists()
    assert list(other.iterdir()) == []
    assert not (tree / ".git/hooks").exists()


def test_the_environment_is_as_before_afterwards(monkeypatch):
    monkeypatch.setenv("GIT_DIR", "/somewhere")
    before = dict(os.environ)
    with isolated("https"):
        assert "GIT_DIR" not in os.environ
        assert os.environ["GIT_TERMINAL_PROMPT"] == "0"
        assert os.environ["GIT_ALLOW_PROTOCOL"] == "https"
    assert dict(os.environ) == before


def test_submodules_are_left_alone(tmp_path, tree, own_configuration):
    own_configuration.write_text("[submodule]\n\trecurse = true\n")
    upstream(tmp_path / "inner")
    release = upstream(tmp_path / "up")
    where = tmp_path / "up"
    git(
        where,
        *("-c", "protocol.file.allow=always", "submodule", "--quiet", "add"),
        *((tmp_path / "inner").as_uri(), "TensorFlow/nlp/bert/inner"),
    )
    release = replace(release, commit=commit(where, {}))
    fetch(local(where), release, tree)
    assert list((tree / "TensorFlow/nlp/bert/inner").iterdir()) == []
    assert not (tree / ".git/modules").exists()


def test_a_command_over_its_limit_is_killed(tmp_path):
    with isolated("https"), pytest.raises(GitStalled):
        run(["-c", "alias.wait=!sleep 300", "wait"], where=tmp_path, limit=0.2)


@pytest.mark.parametrize("text", ["0", "-1", "soon", "nan", "inf"])
def test_a_limit_that_is_no_number_of_seconds_is_refused(text):
    with pytest.raises(UsageProblem, match="BERTKIT_GIT_TIMEOUT"):
        limit_seconds({"BERTKIT_GIT_TIMEOUT": text})


# ---------------------------------------------------------------- places


def test_a_staging_directory_is_gone_afterwards_and_clears_older_ones(tmp_path):
    destination = tmp_path / "tree"
    leftover = tmp_path / ".tree.bertkit-abc" / "deep"
    leftover.mkdir(parents=True)
    with staging(destination) as directory:
        assert directory.parent == tmp_path
        assert not leftover.exists()
    assert list(tmp_path.glob(".tree.bertkit-*")) == []


def test_a_finished_directory_gets_its_name_also_over_an_empty_one(tmp_path):
    destination = tmp_path / "tree"
    destination.mkdir()
    with staging(destination) as directory:
        (directory / "file").write_text("x")
        put_into_place(directory, destination)
    assert (destination / "file").read_text() == "x"
    assert destination.stat().st_mode & 0o700 == 0o700


def test_a_finished_directory_never_replaces_files(tmp_path):
    destination = tmp_path / "tree"
    destination.mkdir()
    (destination / "mine").write_text("mine")
    with staging(destination) as directory, pytest.raises(EnvironmentUnfit):
        put_into_place(directory, destination)
    assert (destination / "mine").read_text() == "mine"


def test_a_destination_with_foreign_files_is_refused(tmp_path):
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(EnvironmentUnfit, match="not empty, and bertkit did not make it"):
        refuse_foreign(tmp_path)
    with pytest.raises(EnvironmentUnfit, match="not a directory"):
        refuse_foreign(tmp_path / "mine")


# ---------------------------------------------------------------- scan


def test_a_scan_tells_moved_new_and_gone_branches(tmp_path):
    upstream(tmp_path / "up", version="1.13.0")
    for name in ("1.24.0", "1.9.9", "master", "1.2.3-rc1"):
        git(tmp_path / "up", "branch", name)
    found = scan(local(tmp_path / "up"))
    assert [moved.version for moved in found.moved] == ["1.13.0"]
    assert [version for version, _ in found.new] == ["1.9.9", "1.24.0"]
    assert len(found.gone) == 40
    assert (found.known, found.is_same) == (0, False)


def test_the_heads_of_all_branches_are_listed(tmp_path):
    release = upstream(tmp_path / "up")
    git(tmp_path / "up", "branch", "feature/x")
    with isolated("file"):
        heads = remote_branches((tmp_path / "up").as_uri())
    assert heads == {"1.13.0": release.commit, "feature/x": release.commit}

"""Which upstream addresses are taken, from where, and how others are refused."""

from __future__ import annotations

import pytest

from bertkit.errors import UpstreamUnavailable
from bertkit.upstream.source import DEFAULT_URL, VARIABLE, checked, redacted, resolve

from .repositories import git


@pytest.fixture
def nothing_configured(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_github_is_the_default(nothing_configured):
    assert resolve(None, {}).url == DEFAULT_URL


def test_option_comes_before_variable_before_configuration(nothing_configured):
    (nothing_configured / "gitconfig").write_text(
        "[bertkit]\n\tupstream = https://config.example.org/m\n"
    )
    variable = {VARIABLE: "https://variable.example.org/m"}
    assert resolve("https://option.example.org/m", variable).given_by == "--upstream"
    assert resolve(None, variable).url == "https://variable.example.org/m"
    assert resolve(None, {}).url == "https://config.example.org/m"
    assert resolve(None, {VARIABLE: ""}).given_by == "git config bertkit.upstream"


def test_the_repositorys_own_configuration_counts(nothing_configured):
    git(nothing_configured, "init", "--quiet")
    git(nothing_configured, "config", "bertkit.upstream", "standin")
    assert resolve(None, {}).is_standin


def test_a_path_becomes_a_file_url(tmp_path):
    odd = tmp_path / "with space and ü"
    odd.mkdir()
    source = checked(str(odd), "--upstream")
    assert source.protocol == "file"
    assert source.url.endswith("/with%20space%20and%20%C3%BC")


@pytest.mark.parametrize(
    "url",
    ["https://gitlab.example.org:8443/a/b.git", "https://github.com/HabanaAI/Model-References"],
)
def test_https_is_taken(url):
    assert checked(url, "--upstream").url == url


def test_a_file_url_is_taken():
    assert checked("file:///srv/git/mr.git", "--upstream").protocol == "file"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("ext::sh -c 'touch /tmp/x'", "remote helpers"),
        ("fd::3", "remote helpers"),
        ("http://example.org/m", "http:// is not used"),
        ("git://example.org/m", "git:// is not used"),
        ("ssh://git@example.org/m", "user name or password"),
        ("ssh://example.org/m", "ssh:// is not used"),
        ("git@github.com:HabanaAI/Model-References", "over ssh"),
        ("--upload-pack=touch /tmp/x", "starts with a dash"),
        ("-oProxyCommand=x", "starts with a dash"),
        ("https://-oProxyCommand=x/m", "names no host"),
        ("https:///m", "names no host"),
        ("https://example.org:port/m", "cannot be read"),
        ("https://example.org/a\nb", "control characters"),
        ("https://example.org/a%0ab", "encoded control characters"),
        ("https://example.org/a\x00", "control characters"),
        ("", "empty"),
        ("file://server/share", "absolute path and no host"),
        ("https://example.org/m?token=hunter2", "query"),
        ("https://example.org/m#x", "query or a fragment"),
    ],
)
def test_what_could_run_or_leak_something_is_refused_with_its_own_words(text, why):
    with pytest.raises(UpstreamUnavailable, match="refused") as caught:
        checked(text, "--upstream")
    assert why in str(caught.value)
    assert caught.value.exit_code == 5


@pytest.mark.parametrize(
    "url",
    [
        "https://user:hunter2@example.org/m",
        "https://hunter2@example.org/m",
        "https://:hunter2@example.org/m",
        "ssh://user:hunter2@example.org/m",
        "https://user:p@hunter2@example.org/m",
        "https://example.org/m?private_token=hunter2",
        "user:hunter2@example.org:m",
    ],
)
def test_credentials_are_refused_and_never_printed(url):
    with pytest.raises(UpstreamUnavailable) as caught:
        checked(url, "BERTKIT_UPSTREAM")
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in str(caught.value.as_dict())
    assert "hunter2" not in redacted(url)


def test_a_path_that_is_not_there_is_said_to_be_so(tmp_path):
    with pytest.raises(UpstreamUnavailable, match="no upstream repository at this path"):
        checked(str(tmp_path / "nowhere"), "--upstream")

"""A cluster that says no, or nothing: what every command makes of it."""

import json

import pytest

from tests.kube.played import Played


def said(call, *arguments):
    answer = call(*arguments)
    assert "Traceback" not in answer.err
    return answer


def test_a_token_that_may_not_is_told_which_verb_on_which_resource_where(api, call, new_namespace):
    namespace = new_namespace(api)
    config = ("--kubeconfig", str(api.kubeconfig("alice", namespace=namespace)))
    answer = said(call, "status", *config)
    assert answer.code == 3
    assert f"may not list mpijobs.kubeflow.org in namespace {namespace}" in answer.err
    answer = said(call, "status", "bert", *config)
    assert f"may not get mpijobs.kubeflow.org in namespace {namespace}" in answer.err
    api.allow("alice", namespace, [
        {"apiGroups": ["kubeflow.org"], "resources": ["mpijobs"], "verbs": ["get", "list"]}
    ])  # fmt: skip
    Played(api, namespace).make()
    answer = said(call, "status", "bert", *config)
    assert f"may not list pods in namespace {namespace}" in answer.err
    # Events are not worth failing for.
    api.allow("alice", namespace, [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}])
    answer = said(call, "status", "bert", *config)
    assert answer.code == 0
    assert "without events: this token may not list events" in answer.err
    answer = said(call, "cancel", "bert", *config, "--no-save")
    assert answer.code == 3
    assert "may not delete mpijobs.kubeflow.org" in answer.err


@pytest.mark.parametrize(
    "command", ["status bert", "status", "wait bert", "logs bert", "cancel bert"]
)
def test_every_command_says_that_a_token_has_expired(api, call, command):
    config = str(api.kubeconfig("alice", token="expired"))
    answer = said(call, *command.split(), "--kubeconfig", config, "--json")
    assert answer.code == 3
    assert "does not know this token (it may have expired)" in json.loads(answer.out)["error"]
    assert "log in again" in answer.err
    assert "expired-token" not in answer.err


def test_a_namespace_that_is_not_there_is_not_just_empty(api, call):
    config = ("--kubeconfig", str(api.kubeconfig()), "--namespace", "nowhere")
    for command in ("status", "status bert", "wait bert"):
        answer = said(call, *command.split(), *config)
        assert answer.code == 3
        assert "there is no namespace nowhere" in answer.err


def test_a_job_that_is_not_there_is_a_mistake_of_the_user(api, call, new_namespace):
    config = ("--kubeconfig", str(api.kubeconfig(namespace=new_namespace(api))))
    answer = said(call, "wait", "brt", *config)
    assert answer.code == 2
    assert "there is no job brt" in answer.err
    assert said(call, "status", "cronjob/brt", *config).code == 2


def test_without_a_cluster_each_command_says_so(call, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    pytest.importorskip("kubernetes")
    answer = said(call, "status")
    assert answer.code == 3
    assert "no cluster is known" in answer.err
    gone = tmp_path / "config"
    gone.write_text(
        "{clusters: [{name: a, cluster: {server: 'https://127.0.0.1:9'}}], current-context: a,"
        " contexts: [{name: a, context: {cluster: a, user: u}}], users: [{name: u, user: {}}]}"
    )
    answer = said(call, "status", "--kubeconfig", str(gone))
    assert answer.code == 3
    assert "the cluster does not answer" in answer.err
    assert "Connection refused" in answer.err
    answer = said(call, "status", "--kubeconfig", str(gone), "--context", "b")
    assert answer.code == 3
    assert "this kubeconfig cannot be used" in answer.err
    gone.write_text("{{")
    assert said(call, "status", "--kubeconfig", str(gone)).code == 3

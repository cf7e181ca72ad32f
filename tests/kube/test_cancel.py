"""`bertkit cancel`: logs first, then everything goes, and what is left is said."""

import json

import pytest

from tests.kube.kubelet import kubelet
from tests.kube.played import Played


@pytest.fixture
def played(api, new_namespace):
    return Played(api, new_namespace(api))


@pytest.fixture
def cancel(call, played):
    config = str(played.server.kubeconfig(namespace=played.namespace))
    return lambda *arguments: call("cancel", *arguments, "--kubeconfig", config)


def test_logs_are_kept_and_then_job_and_pods_go(cancel, played, tmp_path):
    job = played.make()
    played.starts(job)
    with kubelet(played.server, f"node-{played.namespace}") as node:
        node.prints(played.launcher(), "step 1")
        played.runs(played.launcher(), node.node)
        with played.collecting():
            answer = cancel("bert", "--save", str(tmp_path), "--grace", "0")
    assert answer.code == 0, answer.err
    assert "bert is gone, with all its pods" in answer.out
    (kept,) = tmp_path.glob("bert-2*/*.log")
    assert kept.read_text() == "step 1\n"
    assert played.names(played.mpijobs) == played.names(played.pods) == []


def test_what_does_not_go_is_named_with_its_node(cancel, played):
    job = played.make(workers=1)
    played.starts(job)
    played.runs("bert-worker-0", "node-7")
    played.delete_pod(played.launcher())
    answer = cancel("bert", "--no-save", "--timeout", "0.2", "--json")
    assert answer.code == 1
    assert json.loads(answer.out)["left"] == ["worker 0 (bert-worker-0 on node-7)"]


def test_logs_that_cannot_be_had_do_not_keep_a_job_alive(cancel, played, tmp_path):
    job = played.make(workers=1)
    played.starts(job)
    played.runs("bert-worker-0", "node-7")  # a node that nobody knows
    with played.collecting():
        answer = cancel("bert", "--save", str(tmp_path))
    assert answer.code == 0
    assert list(tmp_path.iterdir()) == []
    assert "a log is not kept: bert-worker-0" in answer.err


def test_a_dry_run_deletes_nothing(cancel, played):
    played.make()
    answer = cancel("bert", "--dry-run")
    assert answer.code == 0
    assert "would be deleted:" in answer.out
    assert played.names(played.mpijobs) == ["bert"]

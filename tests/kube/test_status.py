"""`bertkit status`: how far jobs are, and what is wrong with them, in words."""

import json

import pytest

from tests.kube.played import Played


@pytest.fixture
def played(each_api, new_namespace):
    return Played(each_api, new_namespace(each_api))


@pytest.fixture
def status(call, played):
    config = str(played.server.kubeconfig(namespace=played.namespace))

    def ask(*arguments):
        answer = call("status", *arguments, "--json", "--kubeconfig", config)
        assert answer.code == 0, answer.err
        return json.loads(answer.out)

    return ask


def told(status, name="bert"):
    return " | ".join(status(name)["wrong"])


def test_a_job_waits_starts_runs_and_succeeds(played, status, call):
    job = played.make()
    assert status("bert")["phase"] == "waiting"
    played.starts(job)
    seen = status("bert")
    assert [(pod["role"], pod["number"]) for pod in seen["pods"]] == [
        ("launcher", None), ("worker", 0), ("worker", 1),
    ]  # fmt: skip
    assert {pod["doing"] for pod in seen["pods"]} == {"waits for a node"}
    played.runs("bert-worker-0")
    assert status("bert")["phase"] == "starting"
    played.runs("bert-worker-1")
    played.runs(played.launcher())
    played.conditions(job, Created="True", Running="True")
    assert status("bert")["phase"] == "running"
    played.succeeds(job)
    seen = status("mpijob/bert")
    assert (seen["phase"], seen["exit_code"], seen["wrong"]) == ("succeeded", 0, [])
    config = str(played.server.kubeconfig(namespace=played.namespace))
    printed = call("status", "bert", "--kubeconfig", config).out
    assert f"MPIJob bert in namespace {played.namespace}: succeeded" in printed


def test_a_failure_has_the_launchers_exit_code_and_names_the_dead_worker(played, status):
    job = played.make()
    played.starts(job)
    played.ends("bert-worker-1", 137, reason="OOMKilled")
    played.fails(job, 17)
    seen = status("bert")
    assert (seen["phase"], seen["exit_code"]) == ("failed", 17)
    assert seen["message"] == "the launcher has failed"
    assert seen["wrong"] == [
        "launcher: launcher failed with exit code 17",
        "worker 1: worker killed: out of memory, its limit is 64Gi (exit code 137)",
    ]


def test_what_keeps_pods_from_running_is_said_in_words(played, status):
    job = played.make()
    played.starts(job)
    played.unschedulable(
        "bert-worker-0",
        "0/42 nodes are available: 2 Insufficient hugepages-2Mi, 38 Insufficient "
        "habana.ai/gaudi, 2 node(s) had taint {a: b}, that the pod didn't tolerate.",
    )
    played.waits("bert-worker-1", "ImagePullBackOff", 'Back-off pulling image "x"')
    wrong = told(status)
    assert "worker 0: not enough HPUs are free (on 38 of 42 nodes)" in wrong
    assert "not enough huge pages are free (hugepages-2Mi) (on 2 of 42 nodes)" in wrong
    assert "set aside by a taint {a: b}" in wrong
    assert "worker 1: worker's image registry.example/bertkit:1.13.0 cannot be had" in wrong


def test_evictions_lost_nodes_restarts_and_mounts_are_said_in_words(played, status):
    job = played.make(workers=3)
    played.starts(job)
    played.evicted("bert-worker-0", "The node was low on resource: memory.")
    played.runs("bert-worker-1", node="node-7")
    played.status(
        "bert-worker-1", phase="Running", containers={"running": {}}, Ready="Unknown", restarts=2,
        last={"terminated": {"exitCode": 139}},
    )  # fmt: skip
    message = "MountVolume.SetUp failed: hostPath type check failed: /ceph is not a directory"
    played.event("bert-worker-2", "FailedMount", message)
    wrong = told(status)
    assert "worker 0: evicted from node ?: The node was low on resource: memory." in wrong
    assert "worker 1: its node node-7 does not answer any more" in wrong
    assert "started anew (2 times so far): it ended by SIGSEGV (exit code 139)" in wrong
    assert "worker 2: a volume cannot be mounted" in wrong
    assert "/ceph is not a directory" in wrong
    events = status("bert")["events"]
    assert [each["reason"] for each in events] == ["FailedMount"]


def test_pods_that_the_quota_forbids_are_told_from_the_jobs_events(played, status):
    job = played.make()
    message = 'pods "bert-worker-0" is forbidden: exceeded quota: team, requested: cpu=95'
    played.event_about("MPIJob", job, "FailedCreate", message)
    assert "do not fit into the quota" in told(status)


def test_the_table_has_bertkits_jobs_only(played, status):
    played.make("by-hand")
    labels = {"app.kubernetes.io/managed-by": "bertkit"}
    spec = {"restartPolicy": "Never", "containers": [{"name": "a", "image": "b"}]}
    body = {"metadata": {"name": "ours", "labels": labels}, "spec": spec}
    played.server.ask("POST", played.pods, body)
    assert [job["name"] for job in status()["jobs"]] == ["ours"]


def test_a_pod_alone_is_a_job_too_and_its_set_up_has_steps(played, status):
    steps = [{"name": name, "image": "b"} for name in ("make-place", "install-bertkit")]
    spec = {"restartPolicy": "Never", "initContainers": steps,
            "containers": [{"name": "a", "image": "b"}]}  # fmt: skip
    played.server.ask("POST", played.pods, {"metadata": {"name": "prepare"}, "spec": spec})
    path = f"{played.pods}/prepare"
    played.binds("prepare")
    states = [
        {"name": "make-place", "image": "b", "imageID": "", "ready": True, "restartCount": 0,
         "state": {"terminated": {"exitCode": 0}}},
        {"name": "install-bertkit", "image": "b", "imageID": "", "ready": False, "restartCount": 0,
         "state": {"running": {}}},
    ]  # fmt: skip
    patch = {"status": {"phase": "Pending", "initContainerStatuses": states}}
    played.server.ask("PATCH", f"{path}/status", patch)
    assert status("prepare")["pods"][0]["doing"] == "set-up, step 2 of 2: install-bertkit"
    states[1]["state"] = {"terminated": {"exitCode": 1, "reason": "Error"}}
    patch["status"]["phase"] = "Failed"
    played.server.ask("PATCH", f"{path}/status", patch)
    seen = status("prepare")
    assert (seen["phase"], seen["exit_code"]) == ("failed", 1)
    assert seen["wrong"] == ["pod: install-bertkit failed with exit code 1"]

"""`bertkit wait`: a job followed to its end through whatever happens, and its exit code."""

import json
import threading

import pytest

from bertkit.kube.connect import connect
from bertkit.kube.follow import TIMED_OUT, follow, raise_failure
from bertkit.kube.jobs import find_job
from bertkit.kube.kinds import POD
from bertkit.kube.mirror import Mirror
from bertkit.kube.trouble import Refused, Unreachable
from tests.kube.kubelet import kubelet
from tests.kube.played import Played
from tests.kube.wire import wire


@pytest.fixture
def played(api, new_namespace):
    return Played(api, new_namespace(api))


class Story:
    """What happens in the cluster: each step when a line of the watcher says its cue."""

    def __init__(self, *steps):
        self._steps = list(steps)
        self.said = []

    def __call__(self, line):
        self.said.append(line)
        while self._steps and self._steps[0][0] in line:
            self._steps.pop(0)[1]()
            break

    @property
    def text(self):
        return "\n".join(self.said)


def followed(played, story, tmp_path, server=None, **how):
    config = played.server.kubeconfig(namespace=played.namespace, server=server)
    cluster = connect(kubeconfig=config)
    return follow(cluster, find_job(cluster, "bert"), save=tmp_path, say=story, **how)


def test_a_job_is_followed_from_its_first_pod_to_success_and_its_logs_are_kept(
    each_api, new_namespace, tmp_path
):
    played = Played(each_api, new_namespace(each_api))
    job = played.make()
    launcher = played.launcher()
    with kubelet(each_api, f"node-{played.namespace}") as node:

        def workers_run():
            for pod in ("bert-worker-0", "bert-worker-1"):
                node.prints(pod, f"{pod} listens")
                played.runs(pod, node.node)

        def launcher_runs():
            node.prints(launcher, "step 1")
            played.runs(launcher, node.node)
            played.conditions(job, Created="True", Running="True")

        def ends():
            node.prints(launcher, "done")
            node.ends(launcher)
            played.succeeds(job)
            # Pods that are deleted say nothing more.
            node.ends("bert-worker-0")
            node.ends("bert-worker-1")

        story = Story(
            ("bert waits", lambda: played.starts(job)),
            ("worker 1: waits for a node", workers_run),
            ("worker 1: running", launcher_runs),
            ("launcher: running", ends),
        )
        outcome = followed(played, story, tmp_path)
    assert (outcome.exit_code, outcome.why, outcome.status.phase) == (0, None, "succeeded")
    raise_failure(outcome)
    assert "bert starts: some of its pods run" in story.text
    assert f"worker 0: running on {node.node}" in story.text
    assert "bert has succeeded" in story.text
    kept = {path.name: path.read_text() for path in outcome.logs.iterdir()}
    assert kept[f"{launcher}.log"] == "step 1\ndone\n"
    assert kept["bert-worker-0.log"] == "bert-worker-0 listens\n"


def test_a_failed_worker_is_named_and_the_exit_code_is_the_launchers(played, tmp_path):
    job = played.make()
    played.starts(job)
    for pod in ("bert-worker-0", "bert-worker-1", played.launcher()):
        played.runs(pod)

    def worker_dies():
        played.event("bert-worker-1", "Preempting", "made room for something")
        played.ends("bert-worker-1", 137, reason="OOMKilled")

    story = Story(("bert runs", worker_dies), ("out of memory", lambda: played.fails(job, 17)))
    outcome = followed(played, story, tmp_path, keep_logs=False)
    assert outcome.exit_code == 17
    assert "worker 1: worker killed: out of memory, its limit is 64Gi" in outcome.why
    assert "! event of bert-worker-1: Preempting: made room for something" in story.text
    assert outcome.logs is None


def test_a_cut_watch_goes_on_and_nothing_is_missed(played, tmp_path):
    job = played.make()
    with wire(played.server.port) as cable:

        def happens_behind_a_cut_wire():
            cable.dead = True
            cable.cut()
            played.starts(job)
            played.runs(played.launcher())
            cable.dead = False

        def once_more():
            cable.cut()
            played.fails(job, 5)

        story = Story(("bert waits", happens_behind_a_cut_wire), ("launcher: running", once_more))
        outcome = followed(played, story, tmp_path, cable.address, keep_logs=False)
    assert outcome.exit_code == 5
    assert outcome.status.phase == "failed"


def test_a_server_that_has_forgotten_the_history_is_asked_for_everything_anew(played):
    job = played.make()
    played.starts(job)
    with wire(played.server.port) as cable:
        config = played.server.kubeconfig(namespace=played.namespace, server=cable.address)
        cluster = connect(kubeconfig=config)
        lists, changed = [], threading.Event()
        real_list = cluster.list

        def counted(*arguments, **more):
            lists.append(arguments)
            return real_list(*arguments, **more)

        cluster.list = counted
        mirror = Mirror(cluster, POD, changed)
        mirror.start()
        until(changed, lambda: len(mirror.objects()) == 3)
        cable.cut()  # a short cut is no reason for a new list
        played.delete_pod("bert-worker-0")
        until(changed, lambda: len(mirror.objects()) == 2)
        assert len(lists) == 1
        cable.dead = True
        cable.cut()
        played.delete_pod("bert-worker-1")
        played.server.restart()
        cable.dead = False
        until(changed, lambda: len(mirror.objects()) == 1)
        assert len(lists) == 2
        assert len(mirror.gone()) == 2
        mirror.stop()
        cluster.hang_up()
        mirror.join(30)
        assert not mirror.is_alive()
        assert mirror.error is None


def until(changed, condition):
    for _ in range(120):
        if condition():
            return
        changed.wait(1)
        changed.clear()
    raise AssertionError("it never came about")


def test_a_cluster_that_stays_silent_is_given_up_and_the_job_is_said_to_go_on(played, tmp_path):
    played.make()
    with wire(played.server.port) as cable:

        def goes():
            cable.dead = True
            cable.cut()

        with pytest.raises(Unreachable, match="the job itself goes on") as caught:
            followed(played, Story(("bert waits", goes)), tmp_path, cable.address, patience=0.5)
    assert caught.value.exit_code == 3


def test_rights_that_end_while_waiting_end_the_wait(played, tmp_path):
    job = played.make()
    rules = [
        {"apiGroups": ["kubeflow.org"], "resources": ["mpijobs"], "verbs": ["get", "list"]},
        {"apiGroups": [""], "resources": ["pods", "events"], "verbs": ["list", "watch"]},
    ]
    played.server.allow("owner", played.namespace, rules)
    cluster = connect(kubeconfig=played.server.kubeconfig("owner", namespace=played.namespace))
    with pytest.raises(Refused, match="may not watch mpijobs.kubeflow.org") as caught:
        follow(cluster, find_job(cluster, job["metadata"]["name"]), save=tmp_path)
    assert caught.value.exit_code == 3


def test_a_job_that_is_deleted_meanwhile_has_failed(played, tmp_path):
    job = played.make()
    path = f"{played.mpijobs}/bert"
    story = Story(("bert waits", lambda: played.server.ask("DELETE", path)))
    outcome = followed(played, story, tmp_path)
    assert outcome.exit_code == 1
    assert "someone deleted it" in outcome.why
    assert job["metadata"]["uid"] == outcome.status.uid


def test_the_command_ends_with_the_jobs_exit_code_or_124(played, call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = ("--kubeconfig", str(played.server.kubeconfig(namespace=played.namespace)))
    job = played.make()
    answer = call("wait", "bert", "--timeout", "0.3", *config)
    assert answer.code == TIMED_OUT
    assert "bert has not ended" in answer.err
    assert "next:  bertkit wait bert" in answer.err
    played.starts(job)
    played.fails(job, 42)
    answer = call("wait", "bert", "--no-save", *config, "--json")
    assert answer.code == 42
    result = json.loads(answer.out)
    assert result["exit_code"] == 42
    assert result["job"]["phase"] == "failed"
    answer = call("wait", "bert", "--no-save", *config)
    assert "bert failed with exit code 42" in answer.err


def test_submit_can_wait_too(played, call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    document = tmp_path / "pod.json"
    played.make()  # any other job
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"},
           "spec": {"restartPolicy": "Never", "containers": [
               {"name": "a", "image": "b:1", "command": ["c"],
                "resources": {"limits": {"cpu": "1", "memory": "1Gi"},
                              "requests": {"cpu": "1", "memory": "1Gi"}}}]}}  # fmt: skip
    document.write_text(json.dumps(pod))
    config = str(played.server.kubeconfig(namespace=played.namespace))

    def end_it():
        until(threading.Event(), lambda: "a" in played.names(played.pods))
        played.ends("a", 9)

    thread = threading.Thread(target=end_it)
    thread.start()
    answer = call("submit", "-f", str(document), "--wait", "--kubeconfig", config)
    thread.join()
    assert answer.code == 9, answer.err
    assert "made: Pod a" in answer.out

"""`bertkit submit`: all of it, or nothing, and never over what is there."""

import json

import pytest
import yaml

from tests.kube.played import Played, container

TRAIN = ("train", "--phase", "1", "--cards", "8", "--site", "generic",
         "--image", "registry.example/bertkit:1.13.0")  # fmt: skip


@pytest.fixture
def played(api, new_namespace):
    return Played(api, new_namespace(api))


@pytest.fixture
def submit(call, played):
    def run(*arguments, user="admin"):
        config = str(played.server.kubeconfig(user, namespace=played.namespace))
        return call("submit", *arguments, "--kubeconfig", config)

    return run


@pytest.fixture
def file(tmp_path):
    def write(*documents):
        path = tmp_path / "job.yaml"
        path.write_text(yaml.safe_dump_all(documents))
        return str(path)

    return write


def pod(name, **spec):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
            "spec": {"restartPolicy": "Never", "containers": [container()], **spec}}  # fmt: skip


def settings(name, **data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def quota(played, **hard):
    path = f"/api/v1/namespaces/{played.namespace}/resourcequotas"
    played.server.ask("POST", path, {"metadata": {"name": "team"}, "spec": {"hard": hard}})
    used = {"hard": hard, "used": {key: "0" for key in hard}}
    played.server.ask("PATCH", f"{path}/team/status", {"status": used})


def test_a_training_job_is_made_whole_and_the_next_commands_are_said(each_api, new_namespace, call):
    played = Played(each_api, new_namespace(each_api))
    where = ("--kubeconfig", str(each_api.kubeconfig()), "--namespace", played.namespace,
             "--mpijob-version", each_api.version)  # fmt: skip
    answer = call("submit", *TRAIN, *where)
    assert answer.code == 0, answer.err
    assert f"made: MPIJob bertkit-phase1 in namespace {played.namespace}" in answer.out
    assert f"next: bertkit wait bertkit-phase1 --namespace {played.namespace}" in answer.out
    printed = call("manifest", *TRAIN, "--namespace", played.namespace, "--mpijob-version",
                   each_api.version)  # fmt: skip
    wanted = yaml.safe_load(printed.out)
    stored = each_api.ask("GET", f"{played.mpijobs}/bertkit-phase1")
    assert holds(stored, wanted) == []


def holds(stored, wanted, place=""):
    """The places where *stored* lacks something of *wanted* or has something else."""
    if isinstance(wanted, dict):
        return [
            each
            for key, value in wanted.items()
            for each in holds(
                stored.get(key) if isinstance(stored, dict) else None, value, f"{place}.{key}"
            )
        ]
    if isinstance(wanted, list) and isinstance(stored, list) and len(wanted) == len(stored):
        pairs = enumerate(zip(stored, wanted))
        return [each for i, (a, b) in pairs for each in holds(a, b, f"{place}[{i}]")]
    return [] if stored == wanted else [f"{place}: {stored!r} instead of {wanted!r}"]


def test_a_dry_run_has_everything_checked_and_makes_nothing(submit, played, file):
    answer = submit(*TRAIN, "--namespace", played.namespace, "--dry-run", "--json")
    assert answer.code == 0, answer.err
    assert json.loads(answer.out)["dry_run"] is True
    answer = submit("-f", file(pod("a"), settings("b")), "--dry-run")
    assert answer.code == 0, answer.err
    assert "would be made: Pod a" in answer.out
    assert played.names(played.mpijobs) == played.names(played.pods) == []


def test_an_indexed_job_is_not_handed_to_a_cluster_that_would_forget_the_index(submit, played):
    answer = submit("data", "wiki", "--site", "voyager", "--indexed", "4", "--namespace",
                    played.namespace)  # fmt: skip
    assert answer.code == 3
    assert "knows no indexed Jobs" in answer.err
    assert "--share I/N instead of --indexed N" in answer.err
    assert played.names(f"/apis/batch/v1/namespaces/{played.namespace}/jobs") == []


def test_what_a_cluster_does_not_know_is_said(submit, played, file):
    odd = pod("a")
    odd["spec"]["containers"][0]["resizePolicy"] = [{"resourceName": "cpu"}]
    answer = submit("-f", file(odd))
    assert answer.code == 0
    assert "leaves out of Pod a: spec.containers[0].resizePolicy" in answer.err


def test_what_the_cluster_finds_invalid_in_a_pod_template_stops_everything(submit, played, file):
    job = played.make("probe")  # a valid one, to be made invalid where only pods are looked at
    job["metadata"] = {"name": "bert"}
    job.pop("status", None)
    worker = job["spec"]["mpiReplicaSpecs"]["Worker"]["template"]["spec"]
    worker["containers"][0]["volumeMounts"] = [{"name": "nowhere", "mountPath": "/data"}]
    launcher = job["spec"]["mpiReplicaSpecs"]["Launcher"]["template"]["spec"]
    launcher["containers"][0]["volumeMounts"] = [{"name": "nowhere", "mountPath": "/data"}]
    answer = submit("-f", file(job))
    assert answer.code == 2
    assert "nowhere" in answer.err
    assert played.names(played.mpijobs) == ["probe"]


def test_a_job_of_that_name_that_has_not_ended_is_left_alone(submit, played, file):
    assert submit("-f", file(pod("a"))).code == 0
    uid = played.server.ask("GET", f"{played.pods}/a")["metadata"]["uid"]
    for more in ((), ("--replace",)):
        answer = submit("-f", file(pod("a")), *more)
        assert answer.code == 3
        assert "there is already a Pod a" in answer.err
        assert "it has not ended" in answer.err
    assert played.server.ask("GET", f"{played.pods}/a")["metadata"]["uid"] == uid


def test_a_finished_job_of_that_name_goes_when_asked_to(
    submit, played, file, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    job = played.make()
    played.starts(job)
    played.fails(job, 3)
    again = {**job, "metadata": {"name": "bert"}}
    again.pop("status", None)
    answer = submit("-f", file(again))
    assert answer.code == 3
    assert "it has failed" in answer.err
    assert "--replace" in answer.err
    with played.collecting():
        answer = submit("-f", file(again), "--replace", "--json")
    assert answer.code == 0, answer.err
    assert json.loads(answer.out)["replaced"] == ["bert"]
    assert (
        played.server.ask("GET", f"{played.mpijobs}/bert")["metadata"]["uid"]
        != job["metadata"]["uid"]
    )
    assert played.names(played.pods) == []


def test_nothing_stays_when_a_later_object_is_refused(submit, played, file):
    # A dry run counts for nothing, so each object alone fits into this quota.
    quota(played, **{"count/configmaps": "1"})
    answer = submit("-f", file(settings("one"), settings("two"), pod("a")))
    assert answer.code == 3
    assert "quota" in answer.err
    assert "undone: ConfigMap one" in answer.err
    path = f"/api/v1/namespaces/{played.namespace}/configmaps"
    assert "one" not in played.names(path)
    assert played.names(played.pods) == []


def test_a_pod_that_the_quota_does_not_let_in_is_told_before_anything_is_made(submit, played):
    quota(played, **{"requests.habana.ai/gaudi": "4"})
    answer = submit(*TRAIN, "--namespace", played.namespace)
    assert answer.code == 3
    assert "the worker pod of MPIJob bertkit-phase1" in answer.err
    assert "does not fit into the quota" in answer.err
    assert "requests.habana.ai/gaudi=8" in answer.err
    assert played.names(played.mpijobs) == []


def test_a_version_that_the_cluster_does_not_serve_is_told_with_the_one_it_does(submit, played):
    answer = submit(*TRAIN, "--namespace", played.namespace, "--mpijob-version", "v1")
    assert answer.code == 3
    assert "this cluster has no MPIJobs of kubeflow.org/v1" in answer.err
    assert "--mpijob-version v2beta1" in answer.err


def test_a_user_without_rights_makes_nothing_and_is_told_why(submit, played, file):
    answer = submit("-f", file(pod("a")), user="alice")
    assert answer.code == 3
    assert f"may not get pods in namespace {played.namespace}" in answer.err
    # Whoever may make MPIJobs but no pods is told that pods are not checked.
    rule = {"apiGroups": ["kubeflow.org"], "resources": ["mpijobs"], "verbs": ["get", "create"]}
    played.server.allow("owner", played.namespace, [rule])
    answer = submit(*TRAIN, "--namespace", played.namespace, user="owner")
    assert answer.code == 0, answer.err
    assert "not checked beforehand: this token may not create pods" in answer.err


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (pod("x" * 64), "too long"),
        (pod("Bert"), "small letters"),
        ({**settings("a"), "kind": "Service"}, "nothing that bertkit submits"),
        ({**pod("a"), "metadata": {"generateName": "a-"}}, "has no name"),
        ({"a": 1}, "no Kubernetes object"),
        (None, "nothing to submit"),
    ],
)  # fmt: skip
def test_what_cannot_be_submitted_is_a_usage_error(submit, file, document, why):
    answer = submit("-f", file(*([] if document is None else [document])))
    assert answer.code == 2, answer.err
    assert why in answer.err


def test_an_error_that_the_check_finds_stops_the_submission(submit, played, file):
    spec = {"containers": [container(command=["bash", "-c", "bertkit train; sleep infinity"])]}
    answer = submit("-f", file(pod("a", **spec)))
    assert answer.code == 2
    assert "sleep" in answer.err
    assert played.names(played.pods) == []


def test_namespaces_of_the_file_and_the_command_line_must_agree(submit, file, played):
    there = {**pod("a"), "metadata": {"name": "a", "namespace": played.namespace}}
    assert submit("-f", file(there), "--namespace", "elsewhere").code == 2
    other = {**pod("b"), "metadata": {"name": "b", "namespace": "elsewhere"}}
    assert submit("-f", file(there, other)).code == 2
    assert submit("-f", file(there)).code == 0

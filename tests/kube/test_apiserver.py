"""The servers that the other tests talk to are what they should be."""

import pytest

from tests.kube.apiserver import Refused

WORKER = {"replicas": 2, "restartPolicy": "Never", "template": {"spec": {"containers": []}}}


def test_mpijobs_of_one_version_are_served_with_a_status_of_their_own(each_api, new_namespace):
    namespace = new_namespace(each_api)
    path = f"/apis/kubeflow.org/{each_api.version}/namespaces/{namespace}/mpijobs"
    job = {
        "apiVersion": f"kubeflow.org/{each_api.version}",
        "kind": "MPIJob",
        "metadata": {"name": "a"},
        "spec": {"slotsPerWorker": 8, "unheardOf": 1, "mpiReplicaSpecs": {"Worker": WORKER}},
    }
    made = each_api.ask("POST", path, job)
    assert made["spec"]["slotsPerWorker"] == 8
    assert "unheardOf" not in made["spec"]
    condition = {"type": "Running", "status": "True"}
    each_api.ask("PATCH", f"{path}/a/status", {"status": {"conditions": [condition]}})
    assert each_api.ask("GET", f"{path}/a")["status"]["conditions"] == [condition]
    groups = each_api.ask("GET", "/apis/kubeflow.org")
    assert [each["version"] for each in groups["versions"]] == [each_api.version]


def test_a_user_has_the_rights_that_he_was_given_and_no_others(api, new_namespace):
    namespace = new_namespace(api)
    pods = f"/api/v1/namespaces/{namespace}/pods"
    with pytest.raises(Refused, match="403"):
        api.ask("GET", pods, user="owner")
    api.allow("owner", namespace, [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}])
    assert api.ask("GET", pods, user="owner")["items"] == []
    with pytest.raises(Refused, match="403"):
        api.ask("GET", pods, user="alice")

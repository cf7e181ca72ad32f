"""From ``bertkit submit`` to ``bertkit wait``, with real upstream in between.

The MPIJob is handed to a real API server and read back; its launcher's command is executed with
the launcher's own variables and the operator's, in a host of its own, with a real sshd in each of
the two workers' hosts. Only the operator and the kubelet are played.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Callable, Dict, List

import pytest

from bertkit.cli import bertkit
from bertkit.cli.common import exit_code_of
from bertkit.prepare import prepare
from tests.kube.apiserver import ApiServer
from tests.kube.conftest import _servers, api, new_namespace  # noqa: F401
from tests.kube.kubelet import kubelet
from tests.kube.played import Played
from tests.real.pods import JOB, pods, why_no_sshd
from tests.real.two_hosts import why_not

pytestmark = [pytest.mark.real, pytest.mark.tensorflow]


def site(work: Path) -> Path:
    """A site whose one volume is *work*, and whose image is this machine."""
    amounts = {"cpu": "4", "memory": "8Gi"}
    profile = {
        "title": "This machine",
        "release": "1.13.0",
        "images": {"1.13.0": "registry.example/bertkit:1.13.0"},
        "pods": {"program": str(Path(sys.executable).with_name("bertkit"))},
        "paths": {
            "repo": str(work / "tree"), "data": str(work / "data"),
            "results": str(work / "results"), "home": str(work),
        },
        "volumes": [{"name": "work", "mount": str(work), "host_path": str(work)}],
        "resources": {
            name: amounts for name in ("card", "node", "launcher", "data", "small")
        },
    }  # fmt: skip
    path = work / "site.yaml"
    path.write_text(json.dumps(profile))
    return path


def test_a_submitted_job_trains_on_its_workers_and_is_followed_to_its_end(
    api: ApiServer,  # noqa: F811
    new_namespace: Callable[[ApiServer], str],  # noqa: F811
    tmp_path: Path,
    upstream_url: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("horovod")
    trouble = why_not() or why_no_sshd()
    if trouble:
        pytest.skip(f"no pods on this machine: {trouble}")
    prepare(synapse_version="1.13.0", upstream=upstream_url, destination=tmp_path / "tree")
    subprocess.run(
        [sys.executable, "-m", "bertkit", "data", "sample", "--data", str(tmp_path / "data")],
        stdout=subprocess.DEVNULL, check=True,
    )  # fmt: skip
    played = Played(api, new_namespace(api))
    config = ["--kubeconfig", str(api.kubeconfig(namespace=played.namespace))]
    call: List[str] = [
        "submit", "train", "--phase", "1", "--nodes", "2", "--cards", "2", "--device", "cpu",
        "--model", "tiny", "--site", str(site(tmp_path)), "--name", JOB,
        "--namespace", played.namespace, *config,
    ]  # fmt: skip
    assert exit_code_of(bertkit, call) == 0, capsys.readouterr().err
    job = api.ask("GET", f"{played.mpijobs}/{JOB}")
    replicas = job["spec"]["mpiReplicaSpecs"]
    assert replicas["Worker"]["replicas"] == 2
    (launcher,) = replicas["Launcher"]["template"]["spec"]["containers"]
    variables: Dict[str, str] = {each["name"]: each["value"] for each in launcher["env"]}

    played.starts(job)
    with pods(tmp_path, "v2beta1", slots=job["spec"]["slotsPerWorker"]) as hosts, kubelet(
        api, f"node-{played.namespace}"
    ) as node:
        for pod in (f"{JOB}-worker-0", f"{JOB}-worker-1", played.launcher(JOB)):
            played.runs(pod, node.node)
        done = hosts.run(launcher["command"], variables)
        node.prints(played.launcher(JOB), *(done.stdout + done.stderr).splitlines())
        for pod in (f"{JOB}-worker-0", f"{JOB}-worker-1", played.launcher(JOB)):
            node.ends(pod)
        (played.succeeds if done.returncode == 0 else lambda it: played.fails(it, 1))(job)
        capsys.readouterr()
        code = exit_code_of(
            bertkit, ["wait", JOB, "--save", str(tmp_path / "kept"), "--json", *config]
        )
    result = json.loads(capsys.readouterr().out)
    assert (code, done.returncode) == (0, 0), done.stderr
    assert result["job"]["phase"] == "succeeded"
    kept = (Path(result["logs"]) / f"{played.launcher(JOB)}.log").read_text()
    assert "step 6 of 6" in kept
    (record,) = (tmp_path / "results").rglob("run.json")
    plan = json.loads(record.read_text())["plan"]
    assert plan["location"] == "mpijob-v2beta1"
    assert plan["hosts"] == hosts.workers
    assert plan["ranks"] == 4

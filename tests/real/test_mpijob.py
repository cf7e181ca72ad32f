"""Real upstream in the pods of an MPIJob: ``bertkit train`` in the launcher finds its workers.

With a real sshd, as v2beta1 has it, and with an agent in the place of ``kubectl exec``, as v1.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Dict, List

import pytest

from bertkit.kube.started import Started, started
from bertkit.prepare import prepare
from tests.real.pods import SSHD, pods, why_no_sshd
from tests.real.two_hosts import HOSTS, RANKS_PER_HOST, why_not

pytestmark = [pytest.mark.real, pytest.mark.tensorflow]

RANKS = len(HOSTS) * RANKS_PER_HOST


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory, upstream_url: str) -> Path:
    """Upstream 1.13.0 with all patches, and the sample data, where all pods see them."""
    pytest.importorskip("tensorflow")
    pytest.importorskip("horovod")
    trouble = why_not() or why_no_sshd()
    if trouble:
        pytest.skip(f"no pods on this machine: {trouble}")
    directory = tmp_path_factory.mktemp("mpijob")
    prepare(synapse_version="1.13.0", upstream=upstream_url, destination=directory / "tree")
    subprocess.run(
        [sys.executable, "-m", "bertkit", "data", "sample", "--data", str(directory / "data")],
        stdout=subprocess.DEVNULL, check=True,
    )  # fmt: skip
    return directory


def options(work: Path, output: str) -> List[str]:
    return [
        "--device", "cpu", "--model", "tiny", "--repo", str(work / "tree"),
        "--data", str(work / "data"), "--output", str(work / output), "--json",
    ]  # fmt: skip


def rendered(work: Path, version: str) -> Dict[str, Started]:
    """What the pods of ``bertkit manifest train`` start, at a site whose storage is this test's."""
    small = {"cpu": "1", "memory": "1Gi"}
    site = {
        "namespace": "me",
        "release": "1.13.0",
        "image": "none: the pods are this machine",
        "mpijob_version": version,
        "pods": {"program": str(Path(sys.executable).with_name("bertkit"))},
        "paths": {
            "repo": str(work / "tree"), "data": str(work / "data"), "results": str(work / version),
            "home": str(work),
        },
        "volumes": [{"name": "work", "mount": str(work), "host_path": str(work)}],
        "resources": {name: small for name in ("card", "node", "launcher", "data", "small")},
    }  # fmt: skip
    profile = work / f"site-{version}.yaml"
    profile.write_text(json.dumps(site))
    command = [
        sys.executable, "-m", "bertkit", "manifest", "train", "--phase", "1", "--model", "tiny",
        "--device", "cpu", "--cards", str(RANKS_PER_HOST), "--nodes", "2",
        "--site", str(profile), "--json",
    ]  # fmt: skip
    made = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    return started(json.loads(made)["objects"][0])


@pytest.mark.parametrize("version", ["v2beta1", "v1"])
def test_the_launcher_of_a_manifest_trains_on_its_two_workers(
    work: Path, tmp_path: Path, version: str
) -> None:
    """With v2beta1 the launcher has results of its own: it does not see what the workers write."""
    apart = version == "v2beta1"
    own = tmp_path / "launcher"
    for place in (own, work / version):
        place.mkdir()
    mount = f'mount --bind {own} {work / version} && exec "$@"'
    before = ["unshare", "--mount", "sh", "-c", mount, "sh"] if apart else []
    parts = rendered(work, version)
    launcher, worker = parts["launcher"], parts["worker"]
    assert worker.replicas == 2
    assert worker.argv == ((SSHD, "-De") if version == "v2beta1" else ("sleep", "365d"))
    with pods(tmp_path, version, slots=worker.slots) as job:
        done = job.run([*before, *launcher.argv], launcher.environment)
        assert done.returncode == 0, done.stderr
        directory = work / version / "phase1" / ".bertkit"
        launchers = own / "phase1" / ".bertkit" if apart else directory
        record = json.loads((launchers / "run.json").read_text())
        assert (record["plan"]["ranks"], record["state"]) == (RANKS, "done")
        notes = [json.loads(path.read_text()) for path in (directory / "ranks").glob("*.exit")]
        assert sorted(note["host"] for note in notes) == sorted(job.workers * RANKS_PER_HOST)
        seen = [json.loads(line) for line in (launchers / "metrics.jsonl").open()]
        assert [metric["step"] for metric in seen] == [1, 2, 3, 4, 5, 6]
        newest = record["result"]["checkpoint"]
        assert newest == f"{f'{job.workers[0]}:' if apart else ''}{directory.parent}/model.ckpt-6"
        assert (launchers / "ranks/0.log").read_text() == (directory / "ranks/0.log").read_text()
        plan = record["plan"]
        assert plan["location"] == f"mpijob-{version}"
        assert plan["hosts"] == job.workers
        assert f"--learning_rate={0.02 / RANKS:g}" in plan["script"]
        others = {path.name for path in directory.parent.glob("worker_*")}
        assert others == {f"worker_{rank}" for rank in range(1, RANKS)}


def test_a_worker_that_is_down_is_named_before_anything_starts(work: Path, tmp_path: Path) -> None:
    with pods(tmp_path, "v2beta1", slots=2) as job:
        hostfile = Path(job.variables["OMPI_MCA_orte_default_hostfile"])
        hostfile.write_text(hostfile.read_text() + "bert-worker-2.bert.me.svc slots=2\n")
        done = job.launch(
            "train", "--phase", "1", "--cards", "2", "--wait-for-nodes", "1",
            *options(work, "down"),
        )  # fmt: skip
        assert done.returncode == 3
        assert "1 of 3 nodes did not answer" in done.stderr
        assert "bert-worker-2.bert.me.svc: ssh: Could not resolve hostname" in done.stderr
        assert not (work / "down").exists()

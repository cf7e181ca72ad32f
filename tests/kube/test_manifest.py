"""Manifests of all kinds: golden, valid for many versions of Kubernetes, and without fault.

Golden files are remade with ``BERTKIT_REMAKE_GOLDEN=1``; read the difference.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Tuple

import pytest
import yaml

from bertkit import __version__
from bertkit.kube import lint
from bertkit.kube.yaml_text import dump
from bertkit.resources import shipped

from .kinds import KINDS

GOLDEN = Path(__file__).parent / "golden"
REMAKE = bool(os.environ.get("BERTKIT_REMAKE_GOLDEN"))
Call = Callable[..., Any]


def pod_specs(built: Dict[str, Any]) -> Iterator[Dict[str, Any]]:
    """The pods that an object makes."""
    if built["kind"] == "MPIJob":
        for replica in built["spec"]["mpiReplicaSpecs"].values():
            yield replica["template"]["spec"]
    else:
        yield built["spec"]["template"]["spec"] if built["kind"] == "Job" else built["spec"]


def command_of(pod: Dict[str, Any]) -> List[str]:
    return list(pod["containers"][0]["command"])


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_golden_and_nothing_is_wrong_with_it(kind: str, call: Call) -> None:
    answer = call("manifest", *KINDS[kind])
    assert answer.code == 0, answer.err
    assert call("manifest", *KINDS[kind]).out == answer.out
    assert lint.check_text(answer.out, where=kind) == []
    actual = answer.out.replace(__version__, "@VERSION")
    golden = GOLDEN / f"{kind}.yaml"
    if REMAKE:
        golden.write_text(actual, encoding="utf-8")
    assert actual == golden.read_text(encoding="utf-8")


def test_every_kind_is_strictly_valid_for_many_versions_of_kubernetes(objects: Call) -> None:
    validator = pytest.importorskip("kubernetes_validate")
    folder = Path(validator.__file__).parent / "kubernetes-json-schema"
    versions = {path.name.split("-")[0][1:] for path in folder.glob("v*-local-strict")}
    known = sorted((each for each in versions if numbers(each) >= (1, 20)), key=numbers)
    assert len(known) >= 5
    made = [built for arguments in KINDS.values() for built in objects(*arguments)]
    pods = [
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": spec}
        for built in made
        for spec in pod_specs(built)
    ]
    jobs = [built for built in made if built["kind"] == "Job"]
    # All at once: reading the schemas takes most of the time.
    for version in known:
        fit = [job for job in jobs if "completionMode" not in job["spec"] or knows_index(version)]
        validator.validate(listed("v1", "Pod", pods), version, strict=True)
        validator.validate(listed("batch/v1", "Job", fit), version, strict=True)
    pods[-1]["spec"] = {**pods[-1]["spec"], "restartpolicy": "Never"}
    with pytest.raises(validator.ValidationError):
        validator.validate(listed("v1", "Pod", pods), known[0], strict=True)


def numbers(version: str) -> Tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def knows_index(version: str) -> bool:
    return numbers(version) >= (1, 21)


def listed(version: str, kind: str, items: List[Dict[str, Any]]) -> Dict[str, Any]:
    return {"apiVersion": version, "kind": f"{kind}List", "items": items}


def test_the_pod_runs_train_with_the_sites_places_and_no_shell(objects: Call) -> None:
    (built,) = objects("train", "--phase", "2", "--site", "voyager", "--steps", "10")
    (pod,) = pod_specs(built)
    assert command_of(pod) == [
        "/voyager/ceph/users/alice/bertkit/1.13.0/bin/bertkit", "train", "--phase=2",
        "--cards=1", "--device=hpu",
        "--repo=/voyager/ceph/users/alice/bertkit/Model-References-1.13.0",
        "--data=/voyager/ceph/users/alice/datasets/bert",
        "--output=/voyager/ceph/users/alice/results/bert_tf/phase2", "--steps=10",
    ]  # fmt: skip


def test_packed_data_is_packed_and_trained_on_where_the_site_has_it(objects: Call) -> None:
    (built,) = objects("data", "pack", "--phase", "1", "--site", "voyager")
    (pod,) = pod_specs(built)
    assert command_of(pod)[1:] == [
        "data", "pack", "--data=/voyager/ceph/users/alice/datasets/bert", "--phase=1",
    ]  # fmt: skip
    place = "/voyager/ceph/users/alice"
    (built,) = objects(
        "data", "pack", f"{place}/in", "--output", f"{place}/out", "--site", "voyager"
    )
    (pod,) = pod_specs(built)
    assert command_of(pod)[1:] == ["data", "pack", f"--output={place}/out", "--", f"{place}/in"]
    (built,) = objects(
        "train", "--phase", "1", "--packed", "--eval", "--site", "voyager", "--init-checkpoint",
        "none",
    )  # fmt: skip
    (pod,) = pod_specs(built)
    assert {"--packed", "--eval", "--init-checkpoint=none"} < set(command_of(pod))


def test_upstreams_own_flags_come_last_and_reach_the_pod_as_they_are(objects: Call) -> None:
    (built,) = objects(
        "train", "--phase", "2", "--site", "voyager", "--", "--save_checkpoints_steps=50"
    )
    (pod,) = pod_specs(built)
    assert command_of(pod)[-2:] == ["--", "--save_checkpoints_steps=50"]


def test_what_kubernetes_would_fill_in_is_escaped(objects: Call) -> None:
    (built,) = objects(
        "train", "--phase", "2", "--site", "voyager", "--data", "/voyager/ceph/users/alice/$(HOME)"
    )
    (pod,) = pod_specs(built)
    assert "--data=/voyager/ceph/users/alice/$$(HOME)" in command_of(pod)


def test_the_numbers_for_the_ranks_are_told_in_comments(call: Call) -> None:
    out = call("manifest", "train", "--phase", "2", "--cards", "8", "--site", "voyager").out
    assert "/ ranks = (0.004 * sqrt(32768 / 32768)) / 8 = 0.0005\n" in out
    assert "# accumulation = global_batch / (batch * ranks) = 32768 / (8 * 8) = 512\n" in out


def test_fewer_cards_get_their_share_of_a_node(objects: Call) -> None:
    (built,) = objects("train", "--phase", "1", "--cards", "4", "--site", "voyager")
    launcher, worker = pod_specs(built)
    limits = worker["containers"][0]["resources"]["limits"]
    assert limits == {
        "cpu": "47", "memory": "204Gi", "hugepages-2Mi": "95000Mi", "habana.ai/gaudi": "4",
    }  # fmt: skip
    assert "habana.ai/gaudi" not in launcher["containers"][0]["resources"]["limits"]
    assert launcher["volumes"] == worker["volumes"]


def test_what_only_newer_operators_know_is_there_when_asked_for(
    objects: Call, call: Call, tmp_path: Path
) -> None:
    site = tmp_path / "lab.yaml"
    text = (Path(__file__).parent / "lab.yaml").read_text(encoding="utf-8")
    site.write_text(text + "operator_features: [wait-for-workers]\n")
    arguments = ["train", "--phase", "2", "--cards", "8", "--site", str(site)]
    (built,) = objects(*arguments)
    assert built["spec"]["launcherCreationPolicy"] == "WaitForWorkersReady"
    answer = call("manifest", *arguments, "--mpijob-version", "v1")
    assert answer.code == 2
    assert "MPIJob v1 knows no wait-for-workers" in answer.err


def test_variables_of_this_machine_do_not_reach_the_pod(
    objects: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BERTKIT_DATA", "/home/me/data")
    (built,) = objects("train", "--phase", "2", "--site", "voyager")
    assert "/home/me/data" not in yaml.safe_dump(built)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "--phase", "1", "--name", "x" * 60, "--cards", "8"], "characters, at most 63"),
        (["train", "--phase", "1", "--name", "Bert"], "small letters"),
        (["train", "--phase", "1", "--namespace", "a_b"], "cannot be a namespace"),
        (["train", "--phase", "1", "--data", "data"], "no place in a pod"),
        (["train", "--phase", "1", "--data", "/a/../b"], "no place in a pod"),
        (["train", "--phase", "1", "--output", "/scratch/x"], "scratch space"),
        (["train", "--phase", "1", "--output", "/home/alice/x"], "read-only"),
        (["train", "--phase", "1", "--output", "/results"], "not on a volume"),
        (["train", "--phase", "1", "--cards", "7"], "cannot share the global batch"),
        (["train", "--phase", "1", "--", "--learning_rate=1"], "follows from the plan"),
        (["train", "--phase", "1", "--hostfile", "/h"], "--hostfile is not for a cluster"),
        (["train", "--phase", "1", "--ssh-port", "3022"], "--ssh-port is not for a cluster"),
        (["train", "--phase", "1", "--init-checkpoint", "ckpt"], "no place in a pod"),
        (["train", "--task", "mrpc", "--packed"], "--packed is not for mrpc"),
        (["train", "--phase", "1", "--steps", "2", "--profile", "9,999999"], "has only"),
        (["data", "wiki", "--share", "0/2", "--indexed", "2"], "cannot go together"),
        (["data", "wiki", "--indexed", "2", "--kind", "pod"], "for a Job, not for a Pod"),
        (["data", "mrpc", "--from", "here"], "no place in a pod"),
        (["data", "mrpc", "--data", "/scratch/d"], "scratch space"),
        (["data", "pack", "/a", "--output", "/scratch/d"], "scratch space"),
        (["train"], "--phase"),
        (["train", "--phase", "1", "--release", "1.15.0"], "no image for release 1.15.0"),
        (["train", "--phase", "1", "--user", "A B"], "not written as it must be"),
        (["train", "--phase", "1", "--site", "voyagr"], "no site profile"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_next_step(
    arguments: List[str], words: str, call: Call
) -> None:
    site = [] if "--site" in arguments else ["--site", "voyager"]
    at = arguments.index("--") if "--" in arguments else len(arguments)
    answer = call("manifest", *arguments[:at], *site, *arguments[at:])
    assert answer.code == 2
    assert answer.out == ""
    assert words in answer.err


def test_the_generic_site_asks_for_an_image(call: Call) -> None:
    answer = call("manifest", "train", "--phase", "1", "--site", "generic")
    assert answer.code == 2
    assert "--image" in answer.err
    answer = call(
        "manifest", "prepare-repo", "--site", "generic", "--image", "registry.example/bertkit:1"
    )
    assert answer.code == 2
    assert "it is in the image" in answer.err


def test_text_that_other_readers_take_for_numbers_is_quoted() -> None:
    odd = ["1e3", "0o7", "1_0", "y", "~", ".5", "1:30", "0x1F", "null", "true", "- a", "a: b", "é"]
    text = dump({"a": odd}, {})
    assert yaml.safe_load(text) == {"a": odd}
    for word in odd[:7]:
        assert f'"{word}"' in text


def test_json_has_the_objects_and_the_text(call: Call) -> None:
    import json

    answer = call("manifest", "train", "--phase", "1", "--site", "voyager", "--json")
    shown = json.loads(answer.out)
    assert shown["objects"] == list(yaml.safe_load_all(shown["yaml"]))
    assert (shown["kind"], shown["name"], shown["namespace"]) == (
        "Job", "bertkit-phase1", "alice-restricted",
    )  # fmt: skip


def test_the_sites_are_shipped() -> None:
    assert (shipped("sites") / "schema.json").is_file()

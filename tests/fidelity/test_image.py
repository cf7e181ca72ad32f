"""A simulated Gaudi image with Habana's real package: all the way to the device, and past it.

The machine is that of :mod:`tests.gaudi`, with this machine's own processors and a real mpirun;
the ranks' Python has habana-tensorflow from the package index. No driver answers here: loading the
device fails as it does on a machine whose driver is missing. With that one call replaced
(``no_device/``), upstream trains.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, Optional

import pytest

from bertkit.launch import mpi
from tests import gaudi

pytestmark = [pytest.mark.habana, pytest.mark.tensorflow, pytest.mark.real]

SMI = Path(__file__).parents[1] / "fixtures" / "hl-smi"
NO_DEVICE = Path(__file__).with_name("no_device")


class Image:
    """A shell in the image."""

    def __init__(self, place: Path, python: Path) -> None:
        self.place = place
        root = place / "image"
        self.variables = gaudi.build(root)
        shutil.rmtree(root / "sys/devices/system/cpu")
        (root / "sys/devices/system/cpu").symlink_to("/sys/devices/system/cpu")
        (root / "proc/self/status").write_text(Path("/proc/self/status").read_text())
        self._use_real_mpirun(root / "opt/amazon/openmpi", python)
        self.variables.update(
            PATH=f"{SMI / 'bin'}:{os.environ['PATH']}",
            FAKE_HL_SMI=str(SMI / "table-1.12.1"),
            BERTKIT_PYTHON=str(python),
            PYTHONPATH="/usr/lib/habanalabs/",
            HABANA_LOGS=str(place / "habana_logs"),
            HOME=str(place),
        )

    def _use_real_mpirun(self, mpi_root: Path, python: Path) -> None:
        """The one that the ranks' Horovod was built with stands where the image has its own."""
        shutil.rmtree(mpi_root)
        real = mpi.find({"PATH": os.environ["PATH"]}, python).path
        home = python.parent.parent if real.parent == python.parent else real.resolve().parents[1]
        mpi_root.symlink_to(home)
        del self.variables["OPAL_PREFIX"]

    def bertkit(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "bertkit", *arguments], capture_output=True, text=True,
            check=False, cwd=self.place, env={**self.variables, **variables}, timeout=600,
        )  # fmt: skip


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory, habana: Path, upstream_url: str) -> Image:
    """The image, with upstream 1.13.0 and the sample data."""
    made = Image(tmp_path_factory.mktemp("image"), habana)
    done = made.bertkit("prepare-repo", "--upstream", upstream_url, "--json",
                        "--synapse-version", "1.13.0")  # fmt: skip
    assert done.returncode == 0, done.stderr
    done = made.bertkit("data", "sample", "--data", "data")
    assert done.returncode == 0, done.stderr
    return made


def result(done: subprocess.CompletedProcess[str]) -> Dict[str, Any]:
    answer: Dict[str, Any] = json.loads(done.stdout)
    return answer


def test_doctor_sees_cards_libraries_and_modules(image: Image, upstream_url: str) -> None:
    done = image.bertkit("doctor", "--json")
    found: Dict[str, Any] = {each["what"]: each for each in result(done)["findings"]}
    assert found["Habana's libraries"]["found"] == "habana-tensorflow 1.13.0.463"
    assert found["Gaudi cards"]["found"].startswith("8 of 8 healthy and free")
    assert found["TensorFlow"]["found"] == "2.13.1, fits 1.13.0"
    assert found["checkout"]["fit"] is True


def train(image: Image, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return image.bertkit("train", "--phase", "1", "--device", "hpu", "--model", "tiny", "--steps",
                         "3", "--json", *arguments, **variables)  # fmt: skip


def test_a_run_goes_all_the_way_to_the_device_and_its_failure_has_a_hint(
    image: Image, upstream_url: str
) -> None:
    done = train(image, "--output", "to-the-device")
    log = (image.place / "to-the-device/.bertkit/ranks/0.log").read_text()
    assert "habanalabs driver file" in log  # Habana's own words
    assert done.returncode not in (0, 2, 3)
    assert "the card's driver does not answer" in done.stderr
    assert "bertkit doctor" in done.stderr


@pytest.mark.parametrize("habana", ["3.10"], indirect=True)
@pytest.mark.parametrize("cards", [1, 2])
def test_with_the_device_replaced_upstream_trains_with_the_real_package(
    image: Image, upstream_url: str, cards: int
) -> None:
    if cards > 1 and not has_horovod(image):
        pytest.skip("no Horovod was built for this Python: make demo builds one")
    path = f"{NO_DEVICE}:{image.variables['PYTHONPATH']}"
    output = f"replaced-{cards}"
    done = train(image, "--cards", str(cards), "--output", output, PYTHONPATH=path)
    assert done.returncode == 0, done.stderr
    assert result(done)["steps"] == 3
    logs: List[str] = [
        (image.place / output / f".bertkit/ranks/{rank}.log").read_text() for rank in range(cards)
    ]
    for rank, log in enumerate(logs):
        assert f"no device is loaded, HLS_MODULE_ID={module_of(rank, cards)}" in log


def module_of(rank: int, cards: int) -> Optional[str]:
    """Habana's package chooses the module by the local rank, where there are several ranks."""
    return str(rank) if cards > 1 else None


def has_horovod(image: Image) -> bool:
    python = image.variables["BERTKIT_PYTHON"]
    done = subprocess.run([python, "-c", "import horovod"], check=False, capture_output=True)
    return done.returncode == 0

from __future__ import annotations

from pathlib import Path

import pytest

from bertkit.devices.machine import gaudi_devices, usable_cores


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """2 sockets with 4 cores of 2 threads each, all allowed."""
    for thread in range(16):
        topology = tmp_path / f"sys/devices/system/cpu/cpu{thread}/topology"
        topology.mkdir(parents=True)
        (topology / "physical_package_id").write_text(f"{thread % 8 // 4}\n")
        (topology / "core_id").write_text(f"{thread % 4}\n")
    allow(tmp_path, "0-15")
    return tmp_path


def allow(root: Path, threads: str) -> None:
    (root / "proc/self").mkdir(parents=True, exist_ok=True)
    (root / "proc/self/status").write_text(f"Name:\tx\nCpus_allowed_list:\t{threads}\n")


def test_threads_of_one_core_count_once(root: Path) -> None:
    cores = usable_cores(root)
    assert (cores.physical, cores.sockets) == (8, 2)


def test_only_the_cores_of_the_affinity_count(root: Path) -> None:
    allow(root, "0-2,8-10")
    cores = usable_cores(root)
    assert (cores.physical, cores.sockets) == (3, 1)


@pytest.mark.parametrize(
    ("files", "physical"),
    [
        ({"cpu.max": "300000 100000"}, 3),
        ({"cpu.max": "max 100000"}, 8),
        ({"cpu.max": "50000 100000"}, 1),
        ({"cpu/cpu.cfs_quota_us": "250000", "cpu/cpu.cfs_period_us": "100000"}, 2),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 8),
        ({"cpu.max": "rubbish"}, 8),
    ],
)
def test_a_containers_cpu_quota_limits_the_cores(root: Path, files: dict, physical: int) -> None:
    for name, content in files.items():
        path = root / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content + "\n")
    assert usable_cores(root).physical == physical


def test_another_makers_accelerator_is_no_gaudi(tmp_path: Path) -> None:
    """Laptops with a neural processor have one in the same place."""
    (tmp_path / "dev/accel").mkdir(parents=True)
    (tmp_path / "dev/accel/accel0").touch()
    vendor = tmp_path / "sys/class/accel/accel0/device/vendor"
    vendor.parent.mkdir(parents=True)
    vendor.write_text("0x8086\n")
    assert gaudi_devices(tmp_path) == []
    vendor.write_text("0x1da3\n")
    assert len(gaudi_devices(tmp_path)) == 1


def test_devices_are_found_under_new_and_old_drivers_in_the_order_of_their_numbers(
    tmp_path: Path,
) -> None:
    assert gaudi_devices(tmp_path) == []
    (tmp_path / "dev").mkdir()
    for name in ("hl10", "hl2", "hl_controlD2", "hl0"):
        (tmp_path / "dev" / name).touch()
    assert [path.name for path in gaudi_devices(tmp_path)] == ["hl0", "hl2", "hl10"]
    (tmp_path / "dev/accel").mkdir()
    (tmp_path / "dev/accel/accel0").touch()
    (tmp_path / "dev/accel/accel_controlD0").touch()
    assert [path.name for path in gaudi_devices(tmp_path)] == ["accel0"]

"""A machine like the one that Habana's image runs on, below a directory that stands for ``/``.

8 Gaudis as driver 1.11 and newer shows them, 2 sockets with 24 cores of 2 threads each, 95000 MiB
of hugepages, Open MPI 4.1.5 in ``MPI_ROOT``, and the image's variables.
"""

from __future__ import annotations

from pathlib import Path
from typing import Dict

#: what the driver says of its release
DRIVER = "1.13.0-ee32e42"


def build(root: Path) -> Dict[str, str]:
    """Build the machine below *root*; gives the environment of a shell in the image."""
    files = {
        "proc/self/status": "Name:\tbertkit\nCpus_allowed_list:\t0-95\n",
        "proc/meminfo": "MemTotal:       428867584 kB\nMemAvailable:   421527552 kB\n",
        "sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages": "47500\n",
        "sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages": "47500\n",
    }
    for number in range(8):
        files.update(_card(number))
    for thread in range(96):
        topology = f"sys/devices/system/cpu/cpu{thread}/topology"
        files[f"{topology}/physical_package_id"] = f"{thread % 48 // 24}\n"
        files[f"{topology}/core_id"] = f"{thread % 24}\n"
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    mpi_root = root / "opt/amazon/openmpi"
    (mpi_root / "bin").mkdir(parents=True)
    mpirun = mpi_root / "bin/mpirun"
    mpirun.write_text("#!/bin/sh\necho 'mpirun (Open MPI) 4.1.5'\n")
    mpirun.chmod(0o755)
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": "/root",
        "BERTKIT_SYSTEM_ROOT": str(root),
        "MPI_ROOT": str(mpi_root),
        "OPAL_PREFIX": str(mpi_root),
        "PYTHONPATH": "/usr/lib/habanalabs/:/root",
        "HABANA_LOGS": "/var/log/habana_logs/",
        "GC_KERNEL_PATH": "/usr/lib/habanalabs/libtpc_kernels.so",
    }


def _card(number: int) -> Dict[str, str]:
    address = f"0000:{0x19 + number:02x}:00.0"
    values = {
        "status": "operational", "pci_addr": address, "driver_ver": DRIVER, "module_id": number,
        "vendor": "0x1da3", "device": "0x1000",
    }  # fmt: skip
    return {
        f"dev/accel/accel{number}": "",
        f"dev/accel/accel_controlD{number}": "",
        f"sys/bus/pci/devices/{address}/numa_node": f"{number // 4}\n",
        **{
            f"sys/class/accel/accel{number}/device/{name}": f"{value}\n"
            for name, value in values.items()
        },
    }


def install_stand_ins(place: Path, **versions: str) -> None:
    """Empty modules that a job's ranks look for, with pip's metadata of those that matter."""
    for name in ("tensorflow", "horovod", "numpy", "scipy", "tensorboard", "habana_frameworks"):
        (place / name).mkdir(parents=True, exist_ok=True)
        (place / name / "__init__.py").touch()
    installed = {"tensorflow_cpu": "2.13.1", "habana_tensorflow": "1.13.0.463",
                 "habana_horovod": "1.13.0.463", **versions}  # fmt: skip
    for name, version in installed.items():
        info = place / f"{name}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: {version}\n"
        )

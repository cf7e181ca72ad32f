"""``launchers/node.py``: a node's facts, asked of the real program on trees of every kind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, Optional

import pytest

from bertkit.devices.machine import usable_cores
from bertkit.launch.nodes.answer import parse
from bertkit.launch.nodes.facts import Facts
from bertkit.launch.nodes.question import program, question
from bertkit.launch.running.record import fingerprint
from bertkit.upstream.lock import read_lock

Files = Dict[str, str]


def ask(root: Optional[Path] = None, **asked: Any) -> Facts:
    """The answer of the real program; *root* stands for ``/``."""
    environment = {**os.environ, "BERTKIT_SYSTEM_ROOT": str(root or "/")}
    done = subprocess.run(
        [sys.executable, str(program()), question(**asked)],
        env=environment, stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    return parse(done.stdout, "here")


def put(root: Path, files: Files) -> None:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content + "\n")


def card(number: int, **other: str) -> Files:
    """What the driver of 1.11 and newer shows of one Gaudi."""
    directory = f"sys/class/accel/accel{number}/device"
    values = {
        "status": "operational", "pci_addr": f"0000:{19 + number}:00.0", "vendor": "0x1da3",
        "driver_ver": "1.13.0-ee32e42", "device": "0x1000", **other,
    }  # fmt: skip
    return {
        f"dev/accel/accel{number}": "",
        f"sys/bus/pci/devices/0000:{19 + number}:00.0/numa_node": str(number // 4),
        **{f"{directory}/{name}": value for name, value in values.items()},
    }


def test_each_card_is_told_with_its_status_address_numa_node_and_driver(tmp_path: Path) -> None:
    put(tmp_path, {**card(10, status="in reset"), **card(2), "dev/accel/accel_controlD2": ""})
    facts = ask(tmp_path, open_devices=True)
    assert facts.devices is not None
    first, second = facts.devices
    assert (first.name, first.status, first.pci, first.numa) == (
        "accel2", "operational", "0000:21:00.0", 0,
    )  # fmt: skip
    assert (second.name, second.status, second.numa, second.refused) == (
        "accel10", "in reset", 2, None,
    )  # fmt: skip
    assert facts.driver == "1.13.0-ee32e42"


def test_older_drivers_have_other_places(tmp_path: Path) -> None:
    put(tmp_path, {"dev/hl0": "", "sys/class/habanalabs/hl0/status": "operational",
                   "sys/class/habanalabs/hl0/driver_ver": "1.4.0-d8f95f4"})  # fmt: skip
    facts = ask(tmp_path)
    assert facts.devices is not None
    assert [(each.name, each.driver) for each in facts.devices] == [("hl0", "1.4.0-d8f95f4")]


def test_an_accelerator_of_another_maker_is_no_gaudi(tmp_path: Path) -> None:
    put(tmp_path, card(0, vendor="0x8086"))
    facts = ask(tmp_path)
    assert (facts.devices, facts.driver) == ((), None)


def test_the_process_that_has_a_card_open_is_named(tmp_path: Path) -> None:
    put(tmp_path, card(0))
    (tmp_path / "proc").symlink_to("/proc")
    node = str(tmp_path / "dev/accel/accel0")
    code = f"import sys; device = open({node!r}); print(flush=True); sys.stdin.read()"
    holder = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        devices = ask(tmp_path).devices
        holder.terminate()
    assert devices is not None
    (named,) = devices[0].holders
    assert named.startswith(f"{holder.pid} {sys.executable}")


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, (47500, 47000, None, None)),
        ({"sys/fs/cgroup/hugetlb.2MB.max": "max"}, (47500, 47000, None, None)),
        (
            {"sys/fs/cgroup/hugetlb.2MB.max": "4194304", "sys/fs/cgroup/hugetlb.2MB.current": "0"},
            (47500, 47000, 0, 4194304),
        ),
        (
            {"sys/fs/cgroup/hugetlb/hugetlb.2MB.limit_in_bytes": "9223372036854771712"},
            (47500, 47000, None, None),
        ),
    ],
)
def test_hugepages_are_the_machines_and_the_cgroups(
    tmp_path: Path, files: Files, expected: Any
) -> None:
    pages = "HugePages_Total:   47500\nHugePages_Free:    47000\nHugepagesize:       2048 kB"
    put(tmp_path, {"proc/meminfo": f"MemTotal:  1024 kB\n{pages}", **files})
    found = ask(tmp_path).hugepages
    assert found is not None
    assert (found.total, found.free, found.used, found.limit) == expected


@pytest.mark.parametrize("files", [{}, {"sys/fs/cgroup/cpu.max": "300000 100000"}])
def test_cores_are_counted_as_the_plan_counts_them(tmp_path: Path, files: Files) -> None:
    for thread in range(16):
        topology = f"sys/devices/system/cpu/cpu{thread}/topology"
        files = {**files, f"{topology}/physical_package_id": str(thread % 8 // 4),
                 f"{topology}/core_id": str(thread % 4)}  # fmt: skip
    put(tmp_path, {"proc/self/status": "Cpus_allowed_list:\t0-2,8-10", **files})
    found, counted = ask(tmp_path).cores, usable_cores(tmp_path)
    assert found is not None
    assert found.physical is not None
    assert min(found.physical, found.quota or 99) == counted.physical
    assert (found.threads, found.sockets) == (6, counted.sockets)


def test_data_has_the_hash_that_the_record_of_a_run_has(tmp_path: Path) -> None:
    data = tmp_path / "data"
    put(data, {"b/1.txt": "one", "b-2.txt": "two", "a.txt": "three", "b/c/d.txt": "four"})
    (data / "link").symlink_to(data / "a.txt")
    (data / "linked").symlink_to(data / "b")
    (data / "dangling").symlink_to("nowhere")
    paths = {"tree": data, "file": data / "a.txt"}
    needs = ask(needs={name: str(path) for name, path in paths.items()}).needs
    assert needs is not None
    for name, path in paths.items():
        record = fingerprint(path)
        assert record is not None
        found = needs[name]
        assert (found.files, found.bytes, found.sha256, found.contents) == (
            record["files"], record["bytes"], record["sha256"], record["contents"],
        )  # fmt: skip


def test_data_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    needs = ask(needs={"vocab": str(tmp_path / "vocab.txt")}).needs
    assert needs is not None
    assert (needs["vocab"].kind, needs["vocab"].why) == (None, "not there")


def test_the_checkout_is_its_lock_and_the_files_that_are_really_there(repo: Path) -> None:
    lock = read_lock(repo)
    (repo / "TensorFlow/nlp/bert/run_classifier.py").unlink()
    asked = ["TensorFlow/nlp/bert/run_pretraining.py", "TensorFlow/nlp/bert/run_classifier.py"]
    found = ask(repo=str(repo), files=asked).checkout
    assert found is not None
    assert (found.release, found.commit) == (lock.release, lock.commit)
    ((patched, blob),) = lock.expected_files().items()
    assert found.files[patched] == blob
    assert found.files[asked[0]] is not None
    assert found.files[asked[1]] is None


def test_what_cannot_be_found_out_is_null_with_the_reason(tmp_path: Path) -> None:
    facts = ask(tmp_path, repo=str(tmp_path), checkpoint=str(tmp_path / "none/model.ckpt-1"))
    assert (facts.checkout, facts.hugepages, facts.checkpoint) == (None, None, None)
    assert "lock.json" in facts.unknown["checkout"]
    assert "2 MiB" in facts.unknown["hugepages"]


def test_a_checkpoint_is_its_parts_with_their_sizes(tmp_path: Path) -> None:
    put(tmp_path, {"model.ckpt-7.index": "abc", "model.ckpt-70.index": "a"})
    assert ask(checkpoint=str(tmp_path / "model.ckpt-7")).checkpoint == {"model.ckpt-7.index": 4}


def test_modules_are_looked_for_as_the_ranks_script_would(tmp_path: Path) -> None:
    put(tmp_path, {"beside_the_script.py": ""})
    asked = ["json", "beside_the_script", "models", "nothing_of_that_name"]
    # `models` is a folder beside node.py, which is not where the ranks look.
    facts = ask(directory=str(tmp_path), modules=asked)
    assert facts.missing == ("models", "nothing_of_that_name")
    assert facts.packages is not None
    assert facts.packages["habana-tensorflow"] is None


def test_a_probe_file_is_seen_by_whoever_shares_the_directory(tmp_path: Path) -> None:
    nonce = "0123456789abcdef"
    first = ask(output=str(tmp_path / "not/yet"), probe={"action": "write", "nonce": nonce}).probe
    assert first is not None
    assert first.directory == str(tmp_path)
    for action, found in (("read", True), ("remove", True), ("read", False)):
        asked = {"action": action, "nonce": nonce, "directory": first.directory}
        probe = ask(probe=asked).probe
        assert probe is not None
        assert probe.found is found
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", ["", "[]", "rubbish", '{"needs": 3, "files": {}, "repo": 7}'])
def test_a_question_that_makes_no_sense_is_answered_all_the_same(words: str) -> None:
    done = subprocess.run(
        [sys.executable, str(program())], input=words, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    parse(done.stdout, "here")


def test_a_node_without_bertkit_answers_what_comes_on_stdin() -> None:
    with program().open("rb") as source:
        done = subprocess.run(
            [sys.executable, "-", json.dumps({"modules": ["json"]})],
            stdin=source, stdout=subprocess.PIPE, check=True, cwd="/",
        )  # fmt: skip
    assert parse(done.stdout.decode(), "there").missing == ()

"""Which release is here: every source, its order, and programs that misbehave."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bertkit.errors import EnvironmentUnfit, UsageProblem
from bertkit.synapse import detect, look
from bertkit.synapse.files import image_name
from bertkit.synapse.programs import HlSmi, read_dpkg, read_table

SAMPLES = Path(__file__).parent / "fixtures" / "hl-smi"


def environment(sample=None, *, mode="", **more):
    found = {"PATH": "/nonexistent", **more}
    if sample is not None or mode:
        found["PATH"] = f"{SAMPLES / 'bin'}:{os.defpath}"
        found["FAKE_HL_SMI"] = str(SAMPLES / (sample or "query"))
        found["FAKE_HL_SMI_MODE"] = mode
    return found


def installed(place, **packages):
    for name, version in packages.items():
        directory = place / f"{name}-{version}.dist-info"
        directory.mkdir(parents=True)
        (directory / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: {version}\n"
        )
    return [str(place)]


def sysfs(root, text, *, card="accel/accel0/device", vendor=None):
    directory = root / "sys/class" / card
    directory.mkdir(parents=True)
    (directory / "driver_ver").write_text(text)
    if vendor is not None:
        (directory / "vendor").write_text(vendor)
    return root


def test_the_option_decides_and_is_named_as_the_source(tmp_path):
    found = detect("1.13.0", root=tmp_path, environment=environment(), path=[])
    assert (found.release, found.source, found.warnings) == ("1.13.0", "option", ())


def test_an_option_that_differs_from_the_libraries_is_taken_with_a_warning(tmp_path):
    path = installed(tmp_path / "site", habana_tensorflow="1.12.1.10")
    found = detect("1.13.0", root=tmp_path, environment=environment(), path=path)
    assert found.release == "1.13.0"
    assert "1.12.1" in found.warnings[0]
    assert "--synapse-version" in found.warnings[0]


@pytest.mark.parametrize(
    "text", ["", "1.13", "1.13.0.463", "v1.13.0", "1.13.0\n", "--help", "１.2.3"]
)
def test_an_option_that_is_no_release_is_refused(text, tmp_path):
    with pytest.raises(UsageProblem, match="not the name of a SynapseAI release"):
        look(text, root=tmp_path, environment=environment(), path=[])


def test_without_any_source_the_error_names_the_option(tmp_path):
    with pytest.raises(EnvironmentUnfit, match=r"--synapse-version X\.Y\.Z") as caught:
        detect(root=tmp_path, environment=environment(), path=[])
    assert caught.value.exit_code == 3


def test_pip_metadata_loses_its_build_number(tmp_path):
    path = installed(tmp_path / "site", habana_tensorflow="1.13.0.463")
    found = detect(root=tmp_path, environment=environment(), path=path)
    assert (found.release, found.source) == ("1.13.0", "pip")
    assert found.userspace.detail == "habana-tensorflow 1.13.0.463"
    assert found.driver is None


def test_horovod_alone_is_enough_and_packages_that_differ_are_reported(tmp_path):
    only = installed(tmp_path / "one", habana_horovod="1.11.0.587")
    assert look(root=tmp_path, environment=environment(), path=only).release == "1.11.0"
    both = installed(tmp_path / "two", habana_tensorflow="1.13.0.463", habana_horovod="1.11.0.587")
    found = look(root=tmp_path, environment=environment(), path=both)
    assert found.release == "1.13.0"
    assert "different releases" in found.warnings[0]


@pytest.mark.parametrize(
    "card",
    ["accel/accel0/device", "habanalabs/hl0", "habanalabs/hl0/device", "accel/accel12/device"],
)
def test_sysfs_tells_the_driver_of_new_and_old_releases(card, tmp_path):
    sysfs(tmp_path, "1.12.1-cb7a7bc\n", card=card)
    found = detect(root=tmp_path, environment=environment(), path=[])
    assert (found.release, found.source) == ("1.12.1", "sysfs")
    assert found.userspace is None
    assert found.driver.release == "1.12.1"


def test_an_accelerator_of_another_maker_is_not_taken_for_a_gaudi(tmp_path):
    sysfs(tmp_path, "1.12.1-cb7a7bc\n", vendor="0x8086\n")
    assert look(root=tmp_path, environment=environment(), path=[]) is None


def test_a_gaudi_by_its_vendor_id_is_taken(tmp_path):
    sysfs(tmp_path, "1.12.1-cb7a7bc\n", vendor="0x1da3\n")
    assert look(root=tmp_path, environment=environment(), path=[]).release == "1.12.1"


def test_the_userspace_wins_and_the_mismatch_is_told_in_words(tmp_path):
    path = installed(tmp_path / "site", habana_tensorflow="1.13.0.463")
    sysfs(tmp_path, "1.12.1-cb7a7bc\n")
    found = detect(root=tmp_path, environment=environment(), path=path)
    assert (found.release, found.userspace.release, found.driver.release) == (
        "1.13.0",
        "1.13.0",
        "1.12.1",
    )
    assert "libraries are 1.13.0" in found.warnings[0]
    assert "driver is 1.12.1" in found.warnings[0]


@pytest.mark.parametrize("sample", ["query", "query-with-header"])
def test_hl_smi_query_tells_the_driver(sample, tmp_path):
    found = detect(root=tmp_path, environment=environment(sample), path=[])
    assert (found.driver.release, found.driver.source) == ("1.12.1", "hl-smi -Q")
    assert found.release == "1.12.1"


def test_hl_smi_v_tells_the_userspace(tmp_path):
    found = detect(root=tmp_path, environment=environment("version"), path=[])
    assert (found.userspace.release, found.source) == ("1.11.0", "hl-smi -v")


@pytest.mark.parametrize(
    ("sample", "userspace", "driver"),
    [
        ("table-1.12.1", "1.12.1", "1.12.1"),
        ("table-1.4.1-rc", "1.4.1", "1.4.0"),
        ("table-with-nic-driver", "1.14.0", "1.15.0"),
        ("table-with-nic-driver-first", "1.14.0", "1.15.0"),
    ],
)
def test_the_table_tells_both_and_mismatches_are_reported(sample, userspace, driver, tmp_path):
    found = detect(root=tmp_path, environment=environment(sample), path=[])
    assert (found.userspace.release, found.driver.release) == (userspace, driver)
    assert found.release == userspace
    assert bool(found.warnings) == (userspace != driver)


def test_the_list_of_cards_tells_the_driver():
    userspace, driver = read_table((SAMPLES / "list/table").read_text())
    assert userspace is None
    assert driver.release == "1.12.1"


def test_sysfs_is_asked_before_hl_smi_and_pip_before_both(tmp_path):
    path = installed(tmp_path / "site", habana_tensorflow="1.13.0.463")
    sysfs(tmp_path, "1.13.0-1234567\n")
    found = detect(root=tmp_path, environment=environment("table-1.12.1"), path=path)
    assert (found.userspace.source, found.driver.source) == ("pip", "sysfs")
    assert found.warnings == ()


def test_garbage_from_hl_smi_is_nobodys_release(tmp_path):
    assert look(root=tmp_path, environment=environment("garbage"), path=[]) is None


def test_a_failing_hl_smi_tells_nothing(tmp_path):
    assert look(root=tmp_path, environment=environment(mode="fail"), path=[]) is None


def test_output_without_end_is_cut_off_and_not_believed(tmp_path):
    assert HlSmi(environment(mode="endless"), []).driver() is None


def test_an_hl_smi_that_hangs_is_killed_with_its_children_and_not_asked_again():
    notes = []  # the fake sleeps for 300 s
    smi = HlSmi(environment(mode="hang"), notes, seconds=0.3)
    assert smi.driver() is None
    assert smi.userspace() is None
    assert smi.table() == (None, None)
    assert notes == ["hl-smi did not answer within 0.3 s: the driver may be stuck"]


def test_an_hl_smi_that_cannot_be_started_is_said(tmp_path):
    broken = tmp_path / "hl-smi"
    broken.write_text("#!/no/such/interpreter\n")
    broken.chmod(0o755)
    notes = []
    assert HlSmi({"PATH": str(tmp_path)}, notes).driver() is None
    assert "cannot be started" in notes[0]


def test_dpkg_tells_the_userspace(tmp_path):
    program = tmp_path / "bin" / "dpkg-query"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 1.12.1-10\n")
    program.chmod(0o755)
    found = detect(root=tmp_path, environment={"PATH": f"{program.parent}:{os.defpath}"}, path=[])
    assert (found.userspace.release, found.source) == ("1.12.1", "dpkg")


@pytest.mark.parametrize("sample", ["habanalabs-graph.apt", "habanalabs-graph.dpkg"])
def test_what_dpkg_and_apt_print_is_read(sample):
    assert read_dpkg((SAMPLES / sample).read_text()).release == "1.12.1"


def test_a_removed_package_is_not_read():
    assert read_dpkg("rc  habanalabs-graph 1.12.1-10    amd64        Habana\n") is None


IMAGE = (
    "vault.habana.ai/gaudi-docker/1.13.0/ubuntu22.04/habanalabs/"
    "tensorflow-installer-tf-cpu-2.13.1"
)


@pytest.mark.parametrize(
    "name",
    [
        IMAGE,
        IMAGE + ":latest",
        "registry.example.org/mirror/tensorflow-installer-tf-cpu-2.13.1:1.13.0-463",
        "/images/tensorflow-installer-tf-cpu-2.13.1_1.13.0-463.sif",
    ],
)
def test_an_image_name_tells_the_userspace(name, tmp_path):
    found = image_name(tmp_path, {"APPTAINER_CONTAINER": name})
    assert (found.release, found.source) == ("1.13.0", "image name")


def test_podman_writes_the_image_name_down(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/.containerenv").write_text(f'engine="podman-4.3.1"\nimage="{IMAGE}"\n')
    found = detect(root=tmp_path, environment=environment(), path=[])
    assert (found.release, found.source) == ("1.13.0", "image name")


def test_the_tensorflow_version_in_an_image_name_is_not_taken_for_a_release(tmp_path):
    name = "example.org/tensorflow-installer-tf-cpu-2.13.1:latest"
    assert image_name(tmp_path, {"CONTAINER_IMAGE": name}) is None

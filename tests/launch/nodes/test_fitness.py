"""What a node's facts are worth for a job, and how two nodes differ."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, List

import pytest

from bertkit.errors import BertkitError
from bertkit.launch.nodes.differences import clock_remark, differences
from bertkit.launch.nodes.facts import Checkout, Device, Facts, Hugepages, Need, Output
from bertkit.launch.nodes.fitness import Wanted, problems, remarks

WANTED = Wanted("hpu", cards=8, ranks=8, release="1.13.0", tensorflow=("2.13.1",))


def card(number: int, **other: Any) -> Device:
    found = Device(f"accel{number}", "operational", f"0000:{19 + number}:00.0", number // 4, None,
                   "1.13.0-ee32e42", None, ())  # fmt: skip
    return replace(found, **other)


CARDS = tuple(card(number) for number in range(8))
FIT = Facts(
    host="node-0", time=1000.0, python="3.10.12", executable="/usr/bin/python3",
    packages={"tensorflow-cpu": "2.13.1", "habana-tensorflow": "1.13.0.463",
              "habana-horovod": "1.13.0.463"},
    missing=(), horovod_built_for=None, driver="1.13.0-ee32e42", devices=CARDS,
    hugepages=Hugepages(47500, 47500, 0, 95000 << 20), memory=None, cores=None,
    checkout=Checkout("a" * 64, "1.13.0", "1" * 40, {"run.py": "2" * 40, "other.sh": "3" * 40}),
    needs={"training_records": Need("/data/training", "directory", 8, 800, "4" * 64, None)},
    checkpoint={"model.ckpt-7.index": 100, "model.ckpt-7.data-00000-of-00001": 9000},
    output=Output("/results", True, 1 << 40, None), probe=None, unknown={},
)  # fmt: skip


def said(found: List[BertkitError]) -> str:
    return "\n".join(map(str, found))


def test_a_node_like_habanas_image_on_voyager_is_fit() -> None:
    assert problems(FIT, WANTED) == []
    assert remarks(FIT, WANTED) == []


@pytest.mark.parametrize(("devices", "words"), [(2, "2 are here"), (0, "none are here")])
def test_more_cards_than_there_are_devices_are_refused(devices: int, words: str) -> None:
    few = replace(FIT, devices=CARDS[:devices])
    (trouble,) = problems(few, WANTED)
    assert trouble.exit_code == 3
    assert words in str(trouble)
    assert problems(few, replace(WANTED, device="cpu")) == []


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"status": "in reset"}, "the driver says 'in reset'"),
        ({"holders": ("4711 python3 other.py",)}, "it is open in process 4711 python3 other.py"),
        ({"refused": "busy"}, "a process that cannot be seen from here has it open"),
        ({"refused": "Operation not permitted"}, "does not open: Operation not permitted"),
    ],
)
def test_a_card_that_cannot_be_used_is_named_with_what_is_known(changed: Any, words: str) -> None:
    bad = replace(FIT, devices=(*CARDS[:3], card(3, **changed), *CARDS[4:]))
    (trouble,) = problems(bad, WANTED)
    assert "accel3 cannot be used" in str(trouble)
    assert words in str(trouble)
    assert trouble.next_step
    # With fewer ranks the others may do; it is said.
    assert problems(bad, replace(WANTED, cards=2, ranks=2)) == []
    assert words in remarks(bad, replace(WANTED, cards=2, ranks=2))[0]


@pytest.mark.parametrize(
    ("pages", "words"),
    [
        (Hugepages(0, 0, None, None), "vm.nr_hugepages"),
        (Hugepages(47500, 0, None, None), "all 47500 of the machine are in use"),
        (Hugepages(47500, 47500, 0, 0), "hugepages-2Mi in the pod"),
    ],
)
def test_several_cards_without_hugepages_are_refused(pages: Hugepages, words: str) -> None:
    (trouble,) = problems(replace(FIT, hugepages=pages), WANTED)
    assert words in str(trouble)
    assert problems(replace(FIT, hugepages=pages), replace(WANTED, cards=1, ranks=1)) == []


def test_few_hugepages_and_another_driver_are_remarks() -> None:
    odd = replace(FIT, hugepages=Hugepages(47500, 5, 0, None), driver="1.12.1-cb7a7bc")
    assert problems(odd, WANTED) == []
    driver, pages = remarks(odd, WANTED)
    assert "driver 1.12.1-cb7a7bc" in driver
    assert "10 MiB of hugepages are free" in pages


def test_modules_that_are_not_here_are_a_remark_where_the_driver_tells_them() -> None:
    """A container with the second half of a node, as Habana's runtime makes one."""
    half = replace(FIT, devices=tuple(card(number, module=number) for number in range(4, 8)))
    first_four = replace(WANTED, cards=4, modules=(0, 1, 2, 3))
    (remark,) = remarks(half, first_four)
    assert "HABANA_VISIBLE_MODULES=4,5,6,7" in remark
    assert remarks(half, replace(first_four, modules=(4, 5, 6, 7))) == []
    assert remarks(replace(FIT, devices=CARDS[4:]), first_four) == []  # an older driver


@pytest.mark.parametrize(
    ("version", "fit"), [("1.13.0.463", True), ("1.13.1.2", True), ("1.11.0.587", False)]
)
def test_libraries_of_another_release_than_the_checkout_are_refused(
    version: str, fit: bool
) -> None:
    facts = replace(FIT, packages={**(FIT.packages or {}), "habana-tensorflow": version})
    assert (problems(facts, WANTED) == []) is fit
    assert problems(facts, replace(WANTED, device="cpu")) == []


def test_horovod_built_with_another_tensorflow_is_refused_for_several_ranks() -> None:
    facts = replace(FIT, horovod_built_for="2.12.0")
    assert "built with TensorFlow 2.12.0" in said(problems(facts, WANTED))
    assert problems(facts, replace(WANTED, cards=1, ranks=1)) == []


def test_two_nodes_alike_do_not_differ() -> None:
    assert differences(FIT, replace(FIT, host="node-1", time=1001.0)) == []
    assert clock_remark(FIT, replace(FIT, time=1001.0)) is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"checkout": None, "unknown": {"checkout": "No such file"}}, "no prepared checkout"),
        ({"checkout": replace(FIT.checkout, release="1.12.0")}, "1.12.0 (111111111111) there"),
        (
            {"checkout": replace(FIT.checkout, files={"run.py": None, "other.sh": "3" * 40})},
            "run.py: missing there, 222222222222 on node-0",
        ),
        ({"packages": {"tensorflow-cpu": "2.12.0"}}, "2.12.0 there, 2.13.1 on node-0"),
        ({"driver": "1.12.1-cb7a7bc"}, "the driver differs"),
        ({"missing": ("scipy",)}, "Python modules are missing: scipy"),
        ({"needs": {}}, "training records: not the same"),
        (
            {"needs": {"training_records": Need("/d", None, None, None, None, "not there")}},
            "not there",
        ),
        (
            {"needs": {"training_records": Need("/d", "directory", 7, 700, "5" * 64, None)}},
            "7 files with 700 bytes there, 8 with 800 on node-0",
        ),
        (
            {"needs": {"training_records": Need("/d", "directory", 8, 800, "5" * 64, None)}},
            "but other names, sizes or contents",
        ),
        ({"checkpoint": {"model.ckpt-7.index": 100}}, "data-00000-of-00001: missing there"),
    ],
)
def test_what_differs_on_another_node_is_named(changes: Any, words: str) -> None:
    other = replace(FIT, **{"host": "node-1", **changes})
    found = differences(FIT, other)
    assert words in said(found)
    assert all("node-1" in str(each.where) for each in found)


def test_clocks_that_are_apart_are_said() -> None:
    other = replace(FIT, host="node-1", time=990.0)
    assert clock_remark(FIT, other) == "the clock of node-1 is 10 s behind that of node-0"

"""`data status` says what is there, how large it is, and which command makes it."""

import shutil

from bertkit.data.layout import DataLayout
from bertkit.data.status import look


def test_what_the_sample_made_is_made_by_the_sample_and_packs_are_not(sample):
    commands = {each.what: each.command.split()[2] for each in look(sample)}
    by_sample = {what for what, command in commands.items() if command == "sample"}
    assert set(commands) - by_sample == {"packed 128", "packed 512"}


def test_sizes_are_those_of_the_files_with_and_without_a_manifest(sample, tmp_path):
    before = {each.what: each.bytes for each in look(sample)}
    layout = DataLayout(sample)
    assert before["articles"] == layout.formatted.stat().st_size
    assert before["packed 128"] == 0
    shutil.copytree(str(layout.sharded), str(DataLayout(tmp_path).sharded))
    (found,) = (each for each in look(tmp_path) if each.what == "sentences")
    assert (found.state, found.bytes) == ("without a manifest", before["sentences"])
    assert found.command == f"bertkit data wiki --until shard --data {tmp_path}"

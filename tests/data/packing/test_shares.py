"""Several processes, as on several machines, each do a share of the packing."""

from bertkit.data.packing.metadata import metadata_path
from bertkit.data.packing.packer import Request
from bertkit.data.packing.stage import pack
from bertkit.data.stages.shares import Share
from tests.data.packing.test_bad_input import start
from tests.data.packing.test_kills import killed_at, made_so_far, naming_a_file
from tests.data.packing.test_pack import all_bytes


def test_shares_give_the_same_bytes_as_one_and_nothing_is_in_place_before_all_is_done(
    source, tmp_path
):
    alone = Request(source, tmp_path / "one" / "corpus" / "training", ranks=6, window=256)
    request = alone._replace(output=tmp_path / "three" / "corpus" / "training", workers=1)
    first, last = (
        start(source, request.output, "--ranks", "6", "--workers", "1", "--share", share)
        for share in ("0/3", "2/3")
    )
    assert killed_at(request, 2, naming_a_file, share=Share(1, 3))
    assert not request.output.exists()
    assert not metadata_path(request.output).exists()
    made = made_so_far(request.output)
    assert pack(request, share=Share(1, 3)).state == "made"
    told = [each.communicate(timeout=300) for each in (first, last)]
    assert [each.returncode for each in (first, last)] == [0, 0], told
    assert all_bytes(request.output) == all_bytes(pack(alone).output)
    there = {path.name: path.stat().st_ino for path in request.output.iterdir()}
    assert len(there) == 6
    assert made.items() <= there.items()


def test_a_share_that_comes_late_finds_all_done(source, tmp_path):
    request = Request(source, tmp_path / "corpus" / "training", ranks=6, window=256, workers=1)
    pack(request)
    before = all_bytes(request.output)
    assert pack(request, share=Share(1, 3)).state == "was there"
    assert all_bytes(request.output) == before

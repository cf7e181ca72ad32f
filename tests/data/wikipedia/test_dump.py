"""A dated dump: the newest that is complete, as published, and the same one ever after."""

import bz2
import hashlib
import json

import pytest

from bertkit.data.download import Patience
from bertkit.data.layout import DataLayout
from bertkit.data.wikipedia.dump import complete_files, fetch_dump
from bertkit.errors import DataDamaged, DownloadFailed, UsageProblem
from tests import servers
from tests.servers import serving

PATIENCE = Patience(attempts=2, first_wait=0, sleep=lambda seconds: None)
DUMP, INDEX = "multistream.xml.bz2", "multistream-index.txt.bz2"
PAGES, STREAMS = bz2.compress(b"<mediawiki/>"), bz2.compress(b"0:1:A\n")


def name(date, kind):
    return f"simplewiki-{date}-pages-articles-{kind}"


def status(date, state="done", job="articlesmultistreamdump"):
    contents = {DUMP: PAGES, INDEX: STREAMS}
    files = {
        name(date, kind): {
            "size": len(content),
            "url": f"/simplewiki/{date}/{name(date, kind)}",
            "md5": hashlib.md5(content).hexdigest(),
            "sha1": hashlib.sha1(content).hexdigest(),
        }
        for kind, content in contents.items()
    }
    return json.dumps({"jobs": {job: {"status": state, "files": files}}, "version": "0.8"}).encode()


def published(*dates, **states):
    """What Wikimedia's server has of these dates; all are complete but those said otherwise."""
    links = "".join(f'<a href="{date}/">{date}</a>\n' for date in dates)
    files = {"/simplewiki/": f'{links}<a href="latest/">latest</a>'.encode()}
    for date in dates:
        base = f"/simplewiki/{date}"
        files[f"{base}/dumpstatus.json"] = status(date, states.get(f"d{date}", "done"))
        files[f"{base}/{name(date, DUMP)}"] = PAGES
        files[f"{base}/{name(date, INDEX)}"] = STREAMS
    return files


def have(root, **options):
    return fetch_dump(DataLayout(root), "simplewiki", patience=PATIENCE, **options)


def test_the_newest_complete_dump_is_taken_and_recorded(tmp_path):
    with serving(published("20260101", "20260201", "20260301", d20260301="waiting")) as server:
        dump = have(tmp_path, given=server.url)
        assert dump.date == "20260201"
        assert dump.dump == tmp_path / "download/simplewiki/20260201" / name("20260201", DUMP)
        assert dump.dump.read_bytes() == PAGES
        assert dump.index.read_bytes() == STREAMS
        assert dump.sha1 == hashlib.sha1(PAGES).hexdigest()
        server.files.update(published("20260201", "20260301"))
        asked = len(server.requests)
        assert have(tmp_path, given=server.url) == dump  # though a newer one is complete now
        assert len(server.requests) == asked
        assert have(tmp_path, given=server.url, date="20260301").date == "20260301"


def test_a_dump_that_was_begun_is_gone_on_with(tmp_path):
    with serving(published("20260101")) as server:
        path = f"/simplewiki/20260101/{name('20260101', DUMP)}"
        server.faults[path] = [servers.cut(20), servers.status(403)]
        with pytest.raises(DownloadFailed, match="403"):
            have(tmp_path, given=server.url)
        server.files.update(published("20260101", "20260201"))
        assert have(tmp_path, given=server.url).date == "20260101"
        assert server.log[-1].range == "bytes=20-"


def test_a_dump_whose_sum_is_not_the_published_one_is_refused(tmp_path):
    with serving(published("20260101")) as server:
        server.files[f"/simplewiki/20260101/{name('20260101', DUMP)}"] = PAGES[:-1] + b"x"
        with pytest.raises(DataDamaged, match="its sha1 is"):
            have(tmp_path, given=server.url)


def test_a_date_that_is_not_complete_or_not_there_is_said(tmp_path):
    with serving(published("20260101", d20260101="in-progress")) as server:
        for date, why in ((None, "no dump of simplewiki is complete"),
                          ("20260101", "is not complete"), ("20250101", "403")):  # fmt: skip
            with pytest.raises(DownloadFailed, match=why) as failed:
                have(tmp_path, given=server.url, date=date)
            assert "--dump-date" in failed.value.next_step


@pytest.mark.parametrize(
    "listing", [b"", b"<html>please log in</html>", b'<a href="../../20260101">', b"\xff\x00"]
)
def test_a_listing_without_dates_is_said(tmp_path, listing):
    with serving({"/simplewiki/": listing}) as server, pytest.raises(DownloadFailed, match="list"):
        have(tmp_path, given=server.url)


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"\xff", b'{"jobs": 3}', b'{"jobs": {"articlesmultistreamdump": []}}',
     status("20260101").replace(b'"size": ', b'"size": -'),
     status("20260101").replace(b'"sha1": "', b'"sha1": "../')],
)  # fmt: skip
def test_a_status_that_is_none_is_damaged(content):
    with pytest.raises(DataDamaged, match="not what Wikimedia publishes"):
        complete_files(content, "simplewiki", "20260101")


def test_large_wikis_are_put_together_by_a_job_of_its_own():
    recombined = status("20260101", job="articlesmultistreamdumprecombine")
    assert set(complete_files(recombined, "simplewiki", "20260101")) == {
        name("20260101", DUMP), name("20260101", INDEX)
    }  # fmt: skip
    assert complete_files(b'{"jobs": {}}', "simplewiki", "20260101") is None


def test_files_that_are_there_are_taken_with_or_without_sums(tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    for date in ("20260101", "20260201"):
        (own / name(date, DUMP)).write_bytes(PAGES)
        (own / name(date, INDEX)).write_bytes(STREAMS)
    dump = have(tmp_path / "a", given=str(own))
    assert (dump.date, dump.sha1) == ("20260201", None)
    assert dump.sha256 == hashlib.sha256(PAGES).hexdigest()
    (own / "dumpstatus.json").write_bytes(status("20260201"))
    assert have(tmp_path / "b", given=str(own)).sha1 == hashlib.sha1(PAGES).hexdigest()
    (own / name("20260201", DUMP)).write_bytes(b"no bz2")
    (own / "dumpstatus.json").unlink()
    with pytest.raises(DataDamaged, match="not a bz2 file"):
        have(tmp_path / "c", given=str(own))
    with pytest.raises(UsageProblem, match="no dump of simplewiki"):
        have(tmp_path / "d", given=str(own), date="20250101")


@pytest.mark.parametrize(
    ("wiki", "date"), [("../etc", None), ("enwiki/x", None), ("enwiki", "latest"), ("", None)]
)
def test_names_that_are_none_are_refused_before_anything_is_asked(tmp_path, wiki, date):
    with pytest.raises(UsageProblem):
        fetch_dump(DataLayout(tmp_path), wiki, date, patience=PATIENCE)

"""`bertkit data wiki` as it is called."""

import json
from pathlib import Path

from bertkit.cli import bertkit
from bertkit.cli.common import exit_code_of
from tests.data.wikipedia.test_dump import PAGES, published
from tests.servers import serving


def run(capsys, *arguments):
    code = exit_code_of(bertkit, ["data", "wiki", *map(str, arguments), "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_a_dump_comes_from_a_mirror_and_a_dry_run_asks_nobody(tmp_path, capsys):
    with serving(published("20260101")) as server:
        where = ("--data", tmp_path, "--wiki", "simplewiki", "--from", server.url)
        code, result = run(capsys, *where, "--dry-run")
        assert (code, result["date"], server.requests) == (0, None, [])
        code, result = run(capsys, *where, "--until", "download")
        assert (code, result["state"]) == (0, "there")
        assert "20260101" in result["dump"]
        assert Path(result["dump"]).read_bytes() == PAGES


def test_a_dump_that_is_not_there_is_exit_code_1_and_no_dump_2(tmp_path, capsys):
    with serving({}) as server:
        where = ("--data", tmp_path, "--from", server.url, "--attempts", "1")
        code, result = run(capsys, *where)
        assert (code, result["where"]) == (1, f"{server.url}/enwiki/")
        assert "403" in result["why"]
        assert run(capsys, *where, "--wiki", "../x")[0] == 2
        assert run(capsys, *where, "--dump-date", "latest")[0] == 2

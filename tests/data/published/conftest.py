"""Data sets as they are published, in small or made up, on a server of this machine."""

import hashlib
import json

import pytest

from bertkit.cli import bertkit
from bertkit.cli.common import exit_code_of
from bertkit.data.published import addresses
from tests.servers import serving

HEADER = "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n"


def mrpc_files():
    """MRPC's size and peculiarities: a byte order mark, quotes without partner, odd spaces."""
    rows = [
        f'{n % 2}\t{n}\t{n + 9000}\tIt "said {n}\t"No" , it\u2019s {n}  \n' for n in range(4076)
    ]
    test = [f"{n % 2}\t{n}\t{n + 9000}\tA {n}\tB\u00a0{n}\r\n" for n in range(1725)]
    ids = [f"{n * 7}\t{n * 7 + 9000}\n" for n in range(408)]
    return {
        "train": (HEADER + "".join(rows)).encode(),
        "test": (HEADER + "".join(test)).encode(),
        "dev ids": "".join(ids).encode(),
    }


def squad_file(questions):
    qas = [
        {"id": f"q{n}", "question": f"{n}?", "answers": [{"text": "a", "answer_start": 2}]}
        for n in range(questions)
    ]
    paragraph = {"context": "is a place", "qas": qas}
    data = [{"title": "t", "paragraphs": [paragraph]}]
    return json.dumps({"version": "1.1", "data": data}).encode()


@pytest.fixture
def publish(monkeypatch):
    """Puts contents in the place of published files; gives the server that has them."""
    with serving({}) as server:

        def put(group, contents):
            for name, content in contents.items():
                remote = getattr(addresses, group)[name]
                server.files[f"/{remote.place}"] = content
                there = remote._replace(
                    addresses=[f"{server.url}/{remote.place}"],
                    sums={"sha256": hashlib.sha256(content).hexdigest()},
                    size=len(content),
                )
                monkeypatch.setitem(getattr(addresses, group), name, there)
            return server

        yield put


@pytest.fixture
def run(capsys):
    """``bertkit data ...`` in this process; gives the exit code, the JSON and stderr."""

    def called(*arguments):
        code = exit_code_of(bertkit, ["data", *map(str, arguments), "--json", "--attempts", "1"])
        printed = capsys.readouterr()
        return code, json.loads(printed.out), printed.err

    return called

"""A pretrained model: its archive, its parts, its vocabulary, and archives that mean harm."""

import io
import itertools
import json
import stat
import zipfile
from pathlib import Path

import pytest

from bertkit.data.published import addresses
from bertkit.data.published.archive import members_of, unpack
from bertkit.errors import DataDamaged
from tests.servers import serving

CHECKPOINT = Path(__file__).resolve().parents[2] / "fixtures" / "checkpoint-of-bert"
VOCABULARY = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\nc\nd\ne\nf\n"
CONFIG = {
    "vocab_size": 11, "hidden_size": 4, "intermediate_size": 8, "max_position_embeddings": 16,
    "type_vocab_size": 2, "num_hidden_layers": 2,
}  # fmt: skip
NAME = "uncased_L-2_H-4_A-1"


def parts(**changes):
    """The files of a model so small that its checkpoint is among the fixtures."""
    ends = ("index", "data-00000-of-00001")
    files = {
        "bert_config.json": json.dumps({**CONFIG, **changes}).encode(),
        "vocab.txt": VOCABULARY.encode(),
        **{
            f"bert_model.ckpt.{end}": (CHECKPOINT / f"model.ckpt-7.{end}").read_bytes()
            for end in ends
        },
    }
    return {f"{NAME}/{name}": content for name, content in files.items()}


def zipped(files):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


@pytest.fixture
def publish(monkeypatch):
    """Puts an archive in the place of BERT Base; gives the server that has it."""
    with serving({}) as server:

        def put(content):
            server.files["/pretrained/x.zip"] = content
            remote = addresses.Remote("pretrained/x.zip", [f"{server.url}/pretrained/x.zip"])
            small = {"hidden_size": 4, "num_hidden_layers": 2}
            model = addresses.Pretrained(NAME, remote, small)
            monkeypatch.setitem(addresses.PRETRAINED, "base", model)
            return server

        yield put


def have(run, root):
    return run("pretrained", "--model", "base", "--data", root)


@pytest.mark.parametrize("flat", [False, True])
def test_a_model_is_installed_with_its_vocabulary(publish, run, tmp_path, flat):
    files = {name.rpartition("/")[2] if flat else name: each for name, each in parts().items()}
    server = publish(zipped({**files, "bert_model.ckpt.meta": b"graph", "README": b"about"}))
    code, result, errors = have(run, tmp_path)
    assert code == 0, errors
    home = tmp_path / "pretrained" / NAME
    assert sorted(path.name for path in home.iterdir()) == [
        "bert_config.json", "bert_model.ckpt.data-00000-of-00001", "bert_model.ckpt.index",
        "bert_model.ckpt.meta", "vocab.txt",
    ]  # fmt: skip
    assert (tmp_path / "vocab/uncased/vocab.txt").read_text() == VOCABULARY
    assert result["init_checkpoint"] == str(home / "bert_model.ckpt")
    assert result["next"][0] == (
        f"bertkit train --task mrpc --model base --data {tmp_path} --init-checkpoint pretrained"
    )
    assert have(run, tmp_path)[1]["state"] == "was there"
    assert len(server.requests) == 1


def test_another_vocabulary_that_is_there_is_kept_and_named(publish, run, tmp_path):
    publish(zipped(parts()))
    vocab = tmp_path / "vocab/uncased/vocab.txt"
    vocab.parent.mkdir(parents=True)
    vocab.write_text("mine\n")
    code, _, errors = have(run, tmp_path)
    assert code == 1
    assert str(vocab) in errors
    assert vocab.read_text() == "mine\n"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"<html>please log in</html>", "no zip that can be read"),
        (zipped(parts())[:-40], "no zip that can be read"),
        (zipped({"bert_config.json": b"{}"}), "it has no vocab.txt, bert_model.ckpt.index"),
        (zipped({**parts(), "../../evil": b""}), "leads out of the archive"),
        (zipped({**parts(), "/etc/evil": b""}), "is an absolute name"),
        (zipped({**parts(), "C:/evil": b""}), "is an absolute name"),
        (zipped({**parts(), "a\\..\\b": b""}), "is no name for a file"),
        (zipped({**parts(), "other/vocab.txt": b""}), "it has two vocab.txt"),
        (zipped({f"{n}": b"" for n in range(1001)}), "it has 1,001 members"),
    ],
    ids=itertools.count(1),  # not the archives themselves, which have the time in them
)
def test_an_archive_that_no_model_has_never_gets_its_name(publish, run, tmp_path, content, why):
    publish(content)
    code, _, errors = have(run, tmp_path)
    assert code == 6
    assert why in errors
    assert not (tmp_path / "download" / "pretrained" / "x.zip").exists()
    assert not (tmp_path / "pretrained").exists()


def test_an_archive_with_a_changed_byte_is_fetched_anew_by_the_next_run(publish, run, tmp_path):
    whole = zipped(parts())
    changed = bytearray(whole)
    changed[whole.index(b"vocab.txt") + 20] ^= 1
    publish(bytes(changed))
    code, _, errors = have(run, tmp_path)
    assert (code, "vocab.txt: " in errors) == (6, True)
    publish(whole)
    assert have(run, tmp_path)[0] == 0


@pytest.mark.parametrize(
    ("files", "why"),
    [
        (parts(hidden_size=8), "its hidden_size is 8, not 4"),
        (parts(vocab_size=12), "its vocabulary has 11 tokens, its model 12"),
        ({**parts(), f"{NAME}/bert_config.json": b"{"}, "configuration is no JSON"),
        ({**parts(), f"{NAME}/vocab.txt": b"a\nb\n"}, "not a BERT vocabulary"),
        ({**parts(), f"{NAME}/bert_model.ckpt.index": b"x" * 99}, "the end of the file"),
        ({**parts(), f"{NAME}/bert_model.ckpt.data-00000-of-00001": b"x"}, "has 1 of"),
    ],
)
def test_a_model_that_is_not_whole_is_not_installed(publish, run, tmp_path, files, why):
    publish(zipped(files))
    code, _, errors = have(run, tmp_path)
    assert code == 6
    assert why in errors
    assert not (tmp_path / "pretrained").exists()
    assert not (tmp_path / "vocab").exists()


def archive(tmp_path, *members):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(str(path), "w", zipfile.ZIP_DEFLATED) as made:
        for member, content in members:
            made.writestr(member, content)
    return path


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_devices_are_refused(tmp_path, kind):
    link = zipfile.ZipInfo("vocab.txt")
    link.external_attr = (kind | 0o777) << 16
    with pytest.raises(DataDamaged, match="is a link or a device"):
        members_of(archive(tmp_path, (link, "/etc/passwd")), ["vocab.txt"], [], most_bytes=99)


def test_a_bomb_is_refused_by_what_it_would_unpack_to(tmp_path):
    bomb = archive(tmp_path, ("vocab.txt", b"0" * 10_000_000))
    assert bomb.stat().st_size < 20_000
    with pytest.raises(DataDamaged, match="would unpack to 10,000,000 bytes, more than 1,000,000"):
        members_of(bomb, ["vocab.txt"], [], most_bytes=1_000_000)


@pytest.mark.parametrize("says", [1_000, 20_000_000])
def test_a_member_that_lies_about_its_size_is_refused(tmp_path, says):
    bomb = archive(tmp_path, ("vocab.txt", b"0" * 10_000_000))
    members = members_of(bomb, ["vocab.txt"], [], most_bytes=1 << 30)
    members["vocab.txt"].file_size = says
    (tmp_path / "out").mkdir()
    with pytest.raises(DataDamaged, match=r"vocab.txt: (it is cut off|Bad CRC-32)"):
        unpack(bomb, members, tmp_path / "out")
    assert (tmp_path / "out" / "vocab.txt").stat().st_size <= 10_000_000


def test_a_byte_that_changed_in_the_archive_is_found(tmp_path):
    path = archive(tmp_path, ("vocab.txt", bytes(range(256)) * 40))
    members = members_of(path, ["vocab.txt"], [], most_bytes=1 << 30)
    content = bytearray(path.read_bytes())
    content[60] ^= 1
    path.write_bytes(bytes(content))
    (tmp_path / "out").mkdir()
    with pytest.raises(DataDamaged, match="vocab.txt: "):
        unpack(path, members, tmp_path / "out")

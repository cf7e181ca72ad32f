"""Books of the user's own: what was taken, what was lost, and archives that are damaged."""

import io
import tarfile
import zipfile

import pytest

from tests.servers import serving

BOOKS = {
    "b/two.txt": "\ufeffFirst line\r\n\n  second line  \n".encode(),
    "one.txt": "caf\u00e9".encode(),
    "empty.txt": b" \n\n",
    "latin.txt": b"caf\xe9",
    "again.txt": "caf\u00e9\n".encode(),
    "about.md": b"no book",
}
COUNTS = {
    "books": 2, "characters": 26, "lost_empty": 1, "lost_not_utf8": 1, "lost_twice": 1,
    "lost_too_large": 0,
}  # fmt: skip


def as_directory(place):
    for name, content in BOOKS.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(content)
    return place


def as_tar(mode="w:gz"):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=mode) as archive:
        for name, content in {"../evil.txt": b"", **BOOKS}.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        link = tarfile.TarInfo("link.txt")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return packed.getvalue()


def as_zip():
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in BOOKS.items():
            archive.writestr(name, content)
    return packed.getvalue()


def text_of(root):
    return (
        root / "formatted_one_article_per_line" / "bookscorpus_one_book_per_line.txt"
    ).read_text(encoding="utf-8")


def test_a_directory_of_books_becomes_one_book_a_line(run, tmp_path):
    source = as_directory(tmp_path / "source")
    code, result, _ = run("books", "--data", tmp_path / "d", "--from", source)
    assert (code, result["state"], result["counts"]) == (0, "made", COUNTS)
    assert text_of(tmp_path / "d") == "caf\u00e9 \n\nFirst line second line \n\n"
    assert run("books", "--data", tmp_path / "d", "--from", source)[1]["state"] == "was there"
    (source / "three.txt").write_text("new")
    assert run("books", "--data", tmp_path / "d", "--from", source)[1]["counts"]["books"] == 3


@pytest.mark.parametrize(("name", "content"), [("b.tar.gz", as_tar()), ("b.zip", as_zip())])
def test_an_archive_at_an_address_is_read_without_unpacking_it(run, tmp_path, name, content):
    with serving({f"/{name}": content}) as server:
        root = tmp_path / "d"
        code, result, errors = run("books", "--data", root, "--from", f"{server.url}/{name}")
    assert code == 0, errors
    assert result["counts"]["books"] == 2
    assert sorted(text_of(root).split(" \n\n")) == ["", "First line second line", "caf\u00e9"]
    assert not (tmp_path / "evil.txt").exists()


@pytest.mark.parametrize(("name", "content"), [("b.tar.gz", as_tar()), ("b.zip", as_zip())])
def test_an_archive_that_is_cut_is_exit_6(run, tmp_path, name, content):
    (tmp_path / name).write_bytes(content[: len(content) // 2])
    code, _, errors = run("books", "--data", tmp_path / "d", "--from", tmp_path / name)
    assert code == 6
    assert name in errors


def test_a_byte_that_changed_within_an_archive_is_exit_6(run, tmp_path):
    content = bytearray(as_zip())
    content[60] ^= 1
    (tmp_path / "b.zip").write_bytes(bytes(content))
    code, _, errors = run("books", "--data", tmp_path / "d", "--from", tmp_path / "b.zip")
    assert code == 6
    assert "cannot be read to its end" in errors


def test_a_mirror_of_other_data_is_no_directory_of_books(run, tmp_path, monkeypatch):
    monkeypatch.setenv("BERTKIT_MIRROR", str(as_directory(tmp_path / "mirror")))
    code, _, errors = run("books", "--data", tmp_path / "d")
    assert code == 2
    assert "there is no address for books" in errors


def test_without_books_it_says_so(run, tmp_path):
    assert run("books", "--data", tmp_path)[0] == 2
    assert run("books", "--data", tmp_path, "--from", "https://example.org/books")[0] == 2
    (tmp_path / "none").mkdir()
    code, _, errors = run("books", "--data", tmp_path / "d", "--from", tmp_path / "none")
    assert code == 6
    assert "it has no .txt file" in errors
    (tmp_path / "none" / "x.txt").write_bytes(b"\xff")
    code, _, errors = run("books", "--data", tmp_path / "d", "--from", tmp_path / "none")
    assert "1 lost not utf8" in errors

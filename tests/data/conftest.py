"""What the tests of data share: the vocabulary, and one whole sample made once."""

import pytest

from bertkit.data.instances.tokens import WordPieces, read_vocabulary
from bertkit.data.samples import sources
from bertkit.data.samples.sample import make_sample


@pytest.fixture(scope="session")
def vocabulary_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("vocabulary") / "vocab.txt"
    path.write_bytes(sources.uncased_vocabulary())
    return path


@pytest.fixture(scope="session")
def pieces(vocabulary_file):
    return WordPieces(read_vocabulary(vocabulary_file))


@pytest.fixture(scope="session")
def sample(tmp_path_factory):
    """A data directory with a whole sample; not to be changed."""
    root = tmp_path_factory.mktemp("sample") / "data"
    make_sample(root)
    return root


def bytes_below(root):
    """All files of a data directory with their content, less what a run leaves for itself."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and ".bertkit" not in path.parts
    }

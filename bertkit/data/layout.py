"""Where everything lies below a data directory: the one place that owns the names.

They are upstream's own (``data_preprocessing/bertPrep.py`` and the README of Model-References), so
that upstream's scripts and bertkit can go on where the other stopped. Relative to the directory
given as ``--data``, which upstream calls ``BERT_PREP_WORKING_DIR``:

    tfrecord/seq_len_128/wikicorpus_en/training/    records for phase 1 (only records lie there)
    tfrecord/seq_len_128/wikicorpus_en/test/
    tfrecord/seq_len_512/wikicorpus_en/training/    records for phase 2
    tfrecord/seq_len_512/wikicorpus_en/test/
    tfrecord_packed/seq_len_512/wikicorpus_en/training/     up to three sequences in one record
    tfrecord_packed/seq_len_512/wikicorpus_en/training_metadata.json
    vocab/uncased/vocab.txt                         the vocabulary that they were made with
    MRPC/train.tsv  MRPC/dev.tsv  MRPC/test.tsv     GLUE's form
    SQuAD/train-v1.1.json  SQuAD/dev-v1.1.json

and on the way there:

    formatted_one_article_per_line/wikicorpus_en_one_article_per_line.txt
    sharded/wikicorpus_en/training/wikicorpus_en_training_0.txt ...
    sharded/wikicorpus_en/test/wikicorpus_en_test_0.txt ...

The manifest of a stage stands beside the stage's directory and never in it, because upstream
reads every file that it finds in a directory of records.
"""

from __future__ import annotations

from pathlib import Path

#: upstream's name for a corpus of English Wikipedia alone (with books: ``books_wiki_en_corpus``)
CORPUS = "wikicorpus_en"

#: sequence length -> most predictions in one sequence, as upstream's two phases want them
PREDICTIONS = {128: 20, 512: 80}

SPLITS = ("training", "test")


class DataLayout:
    """The paths below one data directory; nothing is made or read here.

    Args:
        root: the data directory, as given with ``--data``.
        corpus: upstream's name for the text.
    """

    def __init__(self, root: Path, corpus: str = CORPUS) -> None:
        self.root = Path(root)
        self.corpus = corpus

    @property
    def lock(self) -> Path:
        """Held by whoever writes below this directory."""
        return self.root / ".bertkit" / "lock"

    @property
    def staging(self) -> Path:
        """Unfinished stages; on the same file system, so that a rename finishes them."""
        return self.root / ".bertkit" / "unfinished"

    @property
    def packing(self) -> Path:
        """What packing knows of the records, so that it reads them once."""
        return self.root / ".bertkit" / "packing"

    @property
    def vocab(self) -> Path:
        """The uncased vocabulary."""
        return self.root / "vocab" / "uncased" / "vocab.txt"

    @property
    def extracted(self) -> Path:
        """The directory of one corpus' articles, as WikiExtractor writes them."""
        return self.root / "extracted" / self.corpus

    @property
    def formatted(self) -> Path:
        """One article a line, an empty line after each."""
        name = f"{self.corpus}_one_article_per_line.txt"
        return self.root / "formatted_one_article_per_line" / name

    @property
    def books(self) -> Path:
        """One book a line, an empty line after each."""
        return self.root / "formatted_one_article_per_line" / "bookscorpus_one_book_per_line.txt"

    @property
    def sharded(self) -> Path:
        """The directory of one corpus' shards of text."""
        return self.root / "sharded" / self.corpus

    def shard_name(self, split: str, number: int) -> str:
        """A shard's path below ``sharded``: one sentence a line, an empty line between articles."""
        return f"{split}/{self.corpus}_{split}_{number}.txt"

    def tfrecord(self, seq_len: int) -> Path:
        """The directory of one corpus' records of one length, with ``training`` and ``test``."""
        return self.root / "tfrecord" / f"seq_len_{seq_len}" / self.corpus

    def record_name(self, split: str, number: int) -> str:
        """A record file's path below ``tfrecord``."""
        return f"{split}/{self.corpus}_{split}_{number}.tfrecord"

    def training_records(self, seq_len: int) -> Path:
        """What upstream wants as ``--input_files_dir``."""
        return self.tfrecord(seq_len) / "training"

    def test_records(self, seq_len: int) -> Path:
        """What upstream wants as ``--eval_files_dir``."""
        return self.tfrecord(seq_len) / "test"

    def packed_training_records(self, seq_len: int) -> Path:
        """What upstream wants as ``--input_files_dir`` for packed data."""
        return self.root / "tfrecord_packed" / f"seq_len_{seq_len}" / self.corpus / "training"

    @property
    def mrpc(self) -> Path:
        """What upstream's ``run_classifier.py`` wants as ``--data_dir`` for MRPC."""
        return self.root / "MRPC"

    @property
    def squad(self) -> Path:
        """The directory of SQuAD v1.1's two files."""
        return self.root / "SQuAD"

    @staticmethod
    def manifest(stage: Path) -> Path:
        """The manifest of the stage whose result is the directory or file *stage*."""
        return stage.parent / f"{stage.name}.manifest.json"

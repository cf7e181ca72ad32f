"""Word pieces of a BERT vocabulary, by Hugging Face's tokenizers, as upstream's rules make them."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Sequence

from bertkit.errors import DataDamaged

if TYPE_CHECKING:
    from tokenizers import Tokenizer

#: sha256 of the vocabulary of BERT uncased (base and large are the same), as upstream pins it
#: in ``data_preprocessing/GooglePretrainedWeightDownloader.py``
UNCASED_SHA256 = "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")

# upstream's tokenization.py; the library's own default is 100
_LONGEST_WORD = 200


def read_vocabulary(path: Path) -> Dict[str, int]:
    """Token -> id of a ``vocab.txt``.

    Raises:
        DataDamaged: the file cannot be read, has a token twice or lacks one of BERT's own.
    """
    next_step = (
        "bertkit data pretrained --data DIR fetches Google's; "
        "bertkit data sample --data DIR makes a small one"
    )
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataDamaged(
            "the vocabulary cannot be read", where=path, why=str(error), next_step=next_step
        ) from None
    if lines and not lines[-1]:
        lines.pop()
    vocabulary = {token.rstrip("\r"): number for number, token in enumerate(lines)}
    missing = [token for token in SPECIAL if token not in vocabulary]
    if missing or len(vocabulary) != len(lines):
        why = f"it lacks {', '.join(missing)}" if missing else "a token stands in it twice"
        raise DataDamaged("this is not a BERT vocabulary", where=path, why=why, next_step=next_step)
    return vocabulary


class WordPieces:
    """Turns sentences into token ids.

    Args:
        vocabulary: token -> id, see ``read_vocabulary``.
        lowercase: as upstream's ``--do_lower_case``; it strips accents, too.
    """

    def __init__(self, vocabulary: Dict[str, int], *, lowercase: bool = True) -> None:
        # No threads of the library's own: bertkit runs one process a core, and forks.
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        from tokenizers import Tokenizer, normalizers, pre_tokenizers
        from tokenizers.models import WordPiece

        self.vocabulary = vocabulary
        self.cls = vocabulary["[CLS]"]
        self.sep = vocabulary["[SEP]"]
        self.mask = vocabulary["[MASK]"]
        model = WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=_LONGEST_WORD)
        tokenizer = Tokenizer(model)
        tokenizer.normalizer = normalizers.BertNormalizer(
            clean_text=True, handle_chinese_chars=True, strip_accents=None, lowercase=lowercase
        )
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        self._tokenizer: Tokenizer = tokenizer

    def __len__(self) -> int:
        return len(self.vocabulary)

    @cached_property
    def continues(self) -> Any:
        """For each id whether its piece continues a word (``##ing``): a numpy array of bool."""
        import numpy as np

        found = np.zeros(len(self), dtype=bool)
        found[[number for piece, number in self.vocabulary.items() if piece.startswith("##")]] = (
            True
        )
        return found

    def ids(self, sentences: Sequence[str]) -> List[List[int]]:
        """The ids of each sentence, without [CLS] and [SEP]."""
        encoded = self._tokenizer.encode_batch(list(sentences), add_special_tokens=False)
        return [encoding.ids for encoding in encoded]

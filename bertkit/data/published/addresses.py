"""Where the data is: every address that bertkit knows by itself, and what is known of the files.

The addresses are those that the publishers name. The sums of MRPC and SQuAD have been the same in
other projects' lists for years. Of files without a sum the first download is pinned.
"""

from __future__ import annotations

from typing import Dict, NamedTuple

from bertkit.data.download.remote import Remote

#: Wikimedia's own server, then mirrors of it that it lists
WIKIMEDIA = (
    "https://dumps.wikimedia.org",
    "https://wikimedia.mirror.clarkson.edu",
    "https://mirror.accum.se/mirror/wikimedia.org/dumps",
)

_SENTEVAL = "https://dl.fbaipublicfiles.com/senteval/senteval_data"

#: the paraphrase corpus in SentEval's form, and which of its pairs GLUE keeps for development
MRPC: Dict[str, Remote] = {
    "train": Remote(
        "mrpc/msr_paraphrase_train.txt",
        [f"{_SENTEVAL}/msr_paraphrase_train.txt"],
        {"sha256": "60a9b09084528f0673eedee2b69cb941920f0b8cd0eeccefc464a98768457f89"},
        1047044,
    ),
    "test": Remote(
        "mrpc/msr_paraphrase_test.txt",
        [f"{_SENTEVAL}/msr_paraphrase_test.txt"],
        {"sha256": "a04e271090879aaba6423d65b94950c089298587d9c084bf9cd7439bd785f784"},
        441275,
    ),
    "dev ids": Remote(
        "mrpc/mrpc_dev_ids.tsv",
        ["https://dl.fbaipublicfiles.com/glue/data/mrpc_dev_ids.tsv"],
        {"sha256": "971d7767d81b997fd9060ade0ec23c4fc31cbb226a55d1bd4a1bac474eb81dc7"},
        6222,
    ),
}

_SQUAD = (
    "https://rajpurkar.github.io/SQuAD-explorer/dataset",
    "https://raw.githubusercontent.com/rajpurkar/SQuAD-explorer/master/dataset",
)

SQUAD: Dict[str, Remote] = {
    "train": Remote(
        "squad/train-v1.1.json",
        [f"{place}/train-v1.1.json" for place in _SQUAD],
        {"sha256": "3527663986b8295af4f7fcdff1ba1ff3f72d07d61a20f487cb238a6ef92fd955"},
        30288272,
    ),
    "dev": Remote(
        "squad/dev-v1.1.json",
        [f"{place}/dev-v1.1.json" for place in _SQUAD],
        {"sha256": "95aa6a52d5d6a735563366753ca50492a658031da74f301ac5238b03966972c9"},
        4854279,
    ),
}


class Pretrained(NamedTuple):
    """A model of Google's: its directory's name, its archive, and what its configuration says."""

    name: str
    archive: Remote
    config: Dict[str, int]


_GOOGLE = "https://storage.googleapis.com/bert_models"

PRETRAINED: Dict[str, Pretrained] = {
    "large": Pretrained(
        "wwm_uncased_L-24_H-1024_A-16",
        Remote(
            "pretrained/wwm_uncased_L-24_H-1024_A-16.zip",
            [f"{_GOOGLE}/2019_05_30/wwm_uncased_L-24_H-1024_A-16.zip"],
            most_bytes=8 << 30,
        ),
        {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16},
    ),
    "base": Pretrained(
        "uncased_L-12_H-768_A-12",
        Remote(
            "pretrained/uncased_L-12_H-768_A-12.zip",
            [f"{_GOOGLE}/2020_02_20/uncased_L-12_H-768_A-12.zip"],
            most_bytes=4 << 30,
        ),
        {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12},
    ),
}

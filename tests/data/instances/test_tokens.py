"""Token ids follow upstream's rules, said here a second time in the plainest way."""

import unicodedata

import pytest

from bertkit.data.instances.tokens import read_vocabulary
from bertkit.errors import DataDamaged

SENTENCES = [
    "The quick brown fox jumps over the lazy dog.",
    "Ångström, Bjørn and Éric ate crème brûlée in São Tomé; naïve coöperation isn't façade.",
    "Beijing (北京) and Tokyo 東京 are cities; 日本語abc mixed漢字text.",
    "Control\x00cha\x07racters\tand\r\nodd\u200bspaces\u00a0here\ufffd and a soft\u00adhyphen.",
    "E = mc^2; $3.50 + 7% < 10 > 9 ~ `x` | {y} @home #1 \\ /path_to/file-name",
    "unaffable antidisestablishmentarianism supercalifragilisticexpialidocious",
    "x" * 150 + " " + "y" * 201 + " end",
    "[CLS] and [MASK] in the text are not the tokens of these names [SEP]",
    "Ελληνικά, русский язык, עברית, العربية, ไทย and हिन्दी",
    "İstanbul, straße, ﬁne ligature, Ⅷ, ½, — “quotes” ‘single’ … 😀 𝔘nicode 𠀀",
    "e\u0301 combining versus \u00e9 composed, \u1ea1\u0302 stacked",
]


def is_control(char):
    return char not in "\t\n\r" and unicodedata.category(char) in ("Cc", "Cf")


def is_space(char):
    return char in " \t\n\r" or unicodedata.category(char) == "Zs"


def is_punctuation(char):
    code = ord(char)
    ascii_mark = 33 <= code <= 47 or 58 <= code <= 64 or 91 <= code <= 96 or 123 <= code <= 126
    return ascii_mark or unicodedata.category(char).startswith("P")


def is_chinese(char):
    blocks = [
        (0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F),
        (0x2B740, 0x2B81F), (0x2B820, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F),
    ]  # fmt: skip
    return any(first <= ord(char) <= last for first, last in blocks)


def words_of(text):
    text = "".join(c for c in text if ord(c) not in (0, 0xFFFD) and not is_control(c))
    text = "".join(" " if is_space(c) else f" {c} " if is_chinese(c) else c for c in text)
    for word in text.split():
        word = unicodedata.normalize("NFD", word.lower())
        word = "".join(c for c in word if unicodedata.category(c) != "Mn")
        yield from "".join(f" {c} " if is_punctuation(c) else c for c in word).split()


def pieces_of(word, vocabulary):
    """Greedy, longest piece first; a word that does not come out whole is [UNK]."""
    if len(word) > 200:
        return ["[UNK]"]
    found, start = [], 0
    while start < len(word):
        for end in range(len(word), start, -1):
            piece = ("##" if start else "") + word[start:end]
            if piece in vocabulary:
                found.append(piece)
                start = end
                break
        else:
            return ["[UNK]"]
    return found


@pytest.mark.parametrize("sentence", SENTENCES)
def test_ids_are_those_of_upstreams_rules(sentence, pieces):
    vocabulary = pieces.vocabulary
    wanted = [p for word in words_of(sentence) for p in pieces_of(word, vocabulary)]
    (ids,) = pieces.ids([sentence])
    names = {number: token for token, number in vocabulary.items()}
    assert [names[number] for number in ids] == wanted


def test_ids_of_real_sentences_are_those_of_upstreams_rules(sample, pieces):
    from bertkit.data.layout import DataLayout
    from bertkit.data.wikipedia.sharding import read_documents

    layout = DataLayout(sample)
    shard = layout.sharded / layout.shard_name("training", 0)
    sentences = [s for document in read_documents(shard) for s in document][:1000]
    vocabulary = pieces.vocabulary
    for sentence, ids in zip(sentences, pieces.ids(sentences)):
        assert ids == [vocabulary[p] for w in words_of(sentence) for p in pieces_of(w, vocabulary)]


def test_the_vocabulary_is_berts(vocabulary_file):
    vocabulary = read_vocabulary(vocabulary_file)
    assert len(vocabulary) == 30522
    assert [vocabulary[t] for t in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")] == [
        0, 100, 101, 102, 103,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"a\nb\n", "lacks"),
        (b"[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\na\n", "twice"),
        (b"\xff\xfe", "cannot be read"),
        (b"", "lacks"),
    ],
)
def test_what_is_no_vocabulary_is_refused(tmp_path, content, reason):
    (tmp_path / "vocab.txt").write_bytes(content)
    with pytest.raises(DataDamaged) as caught:
        read_vocabulary(tmp_path / "vocab.txt")
    assert reason in str(caught.value)

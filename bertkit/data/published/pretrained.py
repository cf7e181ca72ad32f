"""Google's pretrained models, as fine-tuning starts from them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable, Dict, NamedTuple

from bertkit.data.instances.tokens import read_vocabulary
from bertkit.data.published import addresses
from bertkit.data.published.archive import members_of, read_through, unpack
from bertkit.data.published.prepare import Asked, Prepared, prepare
from bertkit.data.stages.manifest import Stage
from bertkit.errors import BertkitError, DataDamaged
from bertkit.files import exclusive, write_atomic

_INDEX = "bert_model.ckpt.index"
_REQUIRED = ("bert_config.json", "vocab.txt", _INDEX, "bert_model.ckpt.data-00000-of-00001")
#: the graph, which nobody reads: the scripts build their own
_OPTIONAL = ("bert_model.ckpt.meta",)

#: looks at a checkpoint's prefix and a configuration; raises DataDamaged if they are not whole or
#: do not belong together
Look = Callable[[Path, Path], None]


class PretrainedModel(NamedTuple):
    """A model on disk.

    Attributes:
        prepared: what was done.
        prefix: of the checkpoint, as ``--init-checkpoint`` takes it.
        vocab: the vocabulary of the data directory: the model's own.
    """

    prepared: Prepared
    prefix: Path
    vocab: Path


def directory_of(root: Path, model: str) -> Path:
    """Where the model ``large`` or ``base`` lies below a data directory."""
    return root / "pretrained" / addresses.PRETRAINED[model].name


def have_pretrained(asked: Asked, model: str, look: Look) -> PretrainedModel:
    """``DATA/pretrained/NAME`` with configuration, vocabulary and checkpoint.

    The vocabulary also comes to ``DATA/vocab/uncased/vocab.txt`` where none is.

    Args:
        asked: where to, and where from.
        model: ``large`` or ``base``.
        look: looks at the checkpoint.

    Raises:
        DownloadFailed, DataDamaged, EnvironmentUnfit: it cannot be had; the message says why.
    """
    published = addresses.PRETRAINED[model]
    output = directory_of(asked.root, model)
    archive = asked.downloads / published.archive.place

    def stage_of(sums: Dict[str, str]) -> Stage:
        return Stage(
            f"pretrained {model}", output, sums, {"name": published.name},
            lambda place: install(archive, place, published, look),
        )  # fmt: skip

    def check(path: Path) -> None:
        read_through(
            path, members_of(path, _REQUIRED, _OPTIONAL, most_bytes=published.archive.most_bytes)
        )

    prepared = prepare(asked, {"archive": published.archive}, stage_of, check)
    vocab = asked.layout.vocab
    if not asked.dry_run:
        _have_vocabulary(asked, output / "vocab.txt")
    return PretrainedModel(prepared, output / "bert_model.ckpt", vocab)


def install(
    archive: Path, output: Path, published: addresses.Pretrained, look: Look
) -> Dict[str, int]:
    """Unpack *archive* into the directory *output*, which is made, and look at what it is.

    Raises:
        DataDamaged: the archive is damaged, or is not this model's.
    """
    members = members_of(archive, _REQUIRED, _OPTIONAL, most_bytes=published.archive.most_bytes)
    output.mkdir()
    unpack(archive, members, output)
    config_file = output / "bert_config.json"
    config = _config(config_file)
    for name, wanted in published.config.items():
        if config.get(name) != wanted:
            raise _another_model(archive, f"its {name} is {config.get(name)}, not {wanted}")
    tokens = len(read_vocabulary(output / "vocab.txt"))
    if config.get("vocab_size") != tokens:
        raise _another_model(
            archive, f"its vocabulary has {tokens:,} tokens, its model {config.get('vocab_size')}"
        )
    look(output / "bert_model.ckpt", config_file)
    size = sum(member.file_size for member in members.values())
    return {"files": len(members), "bytes": size, "tokens": tokens}


def _config(path: Path) -> Dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataDamaged(
            "the model's configuration is no JSON", where=path, why=str(error)
        ) from None
    return config if isinstance(config, dict) else {}


def _have_vocabulary(asked: Asked, own: Path) -> None:
    """Put the model's vocabulary where the data directory has its own, or compare them."""
    there = asked.layout.vocab
    with exclusive(asked.layout.lock, purpose=f"vocabulary in {asked.root}"):
        if not there.exists():
            there.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(there, own.read_bytes())
            return
    if there.read_bytes() != own.read_bytes():
        raise BertkitError(
            "the data directory has another vocabulary than the model",
            where=there,
            why=f"records and tasks must be made with the model's own, {own}",
            next_step="give the model a data directory of its own with --data",
        )


def _another_model(archive: Path, why: str) -> DataDamaged:
    return DataDamaged(
        "the archive is another model's",
        where=archive,
        why=why,
        next_step=f"move it and {archive.name}.pin.json away and run this again",
    )

"""The variables of a BERT model, named as in upstream's ``modeling.py``, by its configuration."""

from __future__ import annotations

import json
from math import prod
from pathlib import Path
from typing import Any, Dict, Mapping, Tuple

Shapes = Dict[str, Tuple[int, ...]]


def read_config(path: Path) -> Dict[str, Any]:
    """The model's ``bert_config.json``."""
    config: Dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return config


def encoder(config: Mapping[str, Any]) -> Shapes:
    """Name -> shape of what every job has: embeddings, layers, pooler."""
    width, inner = config["hidden_size"], config["intermediate_size"]
    shapes: Shapes = {
        "bert/embeddings/word_embeddings": (config["vocab_size"], width),
        "bert/embeddings/position_embeddings": (config["max_position_embeddings"], width),
        "bert/embeddings/token_type_embeddings": (config["type_vocab_size"], width),
        **_norm("bert/embeddings", width),
        **_dense("bert/pooler/dense", width, width),
    }
    for number in range(config["num_hidden_layers"]):
        layer = f"bert/encoder/layer_{number}"
        for part in ("query", "key", "value"):
            shapes.update(_dense(f"{layer}/attention/self/{part}", width, width))
        shapes.update(_dense(f"{layer}/attention/output/dense", width, width))
        shapes.update(_norm(f"{layer}/attention/output", width))
        shapes.update(_dense(f"{layer}/intermediate/dense", width, inner))
        shapes.update(_dense(f"{layer}/output/dense", inner, width))
        shapes.update(_norm(f"{layer}/output", width))
    return shapes


def pretraining_heads(config: Mapping[str, Any]) -> Shapes:
    """Name -> shape of the two heads that pre-training adds."""
    width = config["hidden_size"]
    return {
        **_dense("cls/predictions/transform/dense", width, width),
        **_norm("cls/predictions/transform", width),
        "cls/predictions/output_bias": (config["vocab_size"],),
        "cls/seq_relationship/output_weights": (2, width),
        "cls/seq_relationship/output_bias": (2,),
    }


def parameters(config: Mapping[str, Any]) -> int:
    """How many numbers the model has in pre-training; fine-tuning's heads are smaller."""
    return sum(map(prod, {**encoder(config), **pretraining_heads(config)}.values()))


def _dense(name: str, inputs: int, outputs: int) -> Shapes:
    return {f"{name}/kernel": (inputs, outputs), f"{name}/bias": (outputs,)}


def _norm(name: str, width: int) -> Shapes:
    return {f"{name}/LayerNorm/beta": (width,), f"{name}/LayerNorm/gamma": (width,)}

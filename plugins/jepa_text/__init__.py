"""Qwen3 as an encoder of texts: pretrained weights from a local folder, adapted by LoRA, or a small random model."""

from __future__ import annotations

from collections.abc import Iterator

from jepa_core.plugin import Component, hookimpl
from jepa_text.config import Qwen3Config


@hookimpl
def jepa_components() -> Iterator[Component]:
    tiny = {"hidden_size": 32, "heads": 2, "kv_heads": 1, "head_dim": 16, "intermediate_size": 64, "vocabulary": 300}
    yield Component(
        "encoder",
        "qwen3",
        config=Qwen3Config,
        implementation="jepa_text.encoder:Qwen3Encoder",
        example={"weights": "random", "random": tiny},
    )

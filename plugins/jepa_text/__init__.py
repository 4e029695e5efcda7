"""Language models as encoders of texts: Qwen3, pretrained or small and random, and any other pretrained backbone."""

from __future__ import annotations

from collections.abc import Iterator

from jepa_core.plugin import Component, hookimpl
from jepa_text.config import Qwen3Config
from jepa_text.text_config import TextBackboneConfig


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
    yield Component("encoder", "text_backbone", TextBackboneConfig, "jepa_text.text_backbone:TextBackbone")

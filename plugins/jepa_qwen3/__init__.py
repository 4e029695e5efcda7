"""Qwen3 as an encoder of texts: pretrained weights from a local folder, adapted by LoRA, or a small random model."""

from __future__ import annotations

from collections.abc import Iterator

from jepa_core.plugin import Component, hookimpl
from jepa_qwen3.config import Qwen3Config


@hookimpl
def jepa_components() -> Iterator[Component]:
    yield Component("encoder", "qwen3", config=Qwen3Config, implementation="jepa_qwen3.encoder:Qwen3Encoder")

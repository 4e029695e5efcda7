"""Encoders of items that are channels of numbers: a perceptron, a transformer over channels, a temporal convolution."""

from __future__ import annotations

from collections.abc import Iterator

from jepa_channels.config import MlpConfig, PatchTransformerConfig, TemporalConvolutionConfig
from jepa_core.plugin import Component, hookimpl


@hookimpl
def jepa_components() -> Iterator[Component]:
    yield Component("encoder", "mlp", MlpConfig, "jepa_channels.mlp:Mlp")
    yield Component(
        "encoder", "patch_transformer", PatchTransformerConfig, "jepa_channels.patch_transformer:PatchTransformer"
    )
    yield Component(
        "encoder",
        "temporal_convolution",
        TemporalConvolutionConfig,
        "jepa_channels.temporal_convolution:TemporalConvolution",
    )

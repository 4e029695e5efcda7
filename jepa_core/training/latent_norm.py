"""The normalisation of latents that every encoder shares, so that latents of different encoders can be compared."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from jepa_core.config import LatentNorm
from jepa_core.training.precision import full


def normalise_latents(latents: Tensor, norm: LatentNorm) -> Tensor:
    """Latents (N, D) as float32, under a LayerNorm without parameters (Ba et al., arXiv 1607.06450) if `norm` is
    `layer`."""
    latents = full(latents)
    return F.layer_norm(latents, latents.shape[-1:]) if norm == "layer" else latents

"""A term against collapse of the latents."""

from __future__ import annotations

import torch
from torch import Tensor

from jepa_core.contracts import Latents, Regularizer

# Keeps the gradient of the square root finite where a dimension does not vary at all.
EPSILON = 1e-4


class VarianceCovariance(Regularizer):
    """Variance and covariance terms of VICReg (Bardes, Ponce & LeCun, arXiv 2105.04906).

        variance   = mean over dimensions of max(0, target_std - sqrt(var + epsilon))
        covariance = sum over pairs of different dimensions of their covariance squared, divided by D

    VICReg takes its statistics over a batch of images. Here the samples are the states of all windows and steps of the
    batch together, padding left out, so variation within a trajectory and between trajectories both count. Computed in
    fp32.
    """

    def terms(self, latents: Latents) -> dict[str, Tensor]:
        """Terms `variance` and `covariance`. With fewer than two states neither has a gradient."""
        with torch.autocast(latents.states.device.type, enabled=False):
            covariance = _covariance(latents.states.float().flatten(0, 1), latents.mask.flatten())
            variances = covariance.diagonal()
            deficit = (self.config.target_std - (variances + EPSILON).sqrt()).relu()
            redundancy = (covariance.square().sum() - variances.square().sum()) / len(variances)
        return {"variance": deficit.mean(), "covariance": self.config.covariance_factor * redundancy}


def _covariance(samples: Tensor, mask: Tensor) -> Tensor:
    """Unbiased covariance (D, D) of the samples (N, D) that `mask` (N,) marks; zeros if there are fewer than two.

    Weighting instead of selecting keeps shapes fixed, so an accelerator need not wait for the mask.
    """
    weight = mask.to(samples.dtype)[:, None]
    count = weight.sum()
    centred = (samples - (weight * samples).sum(dim=0) / count.clamp(min=1)) * weight
    return centred.T @ centred / (count - 1).clamp(min=1)

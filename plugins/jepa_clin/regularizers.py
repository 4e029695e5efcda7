"""Terms against collapse of the latents."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from jepa_clin.config import SigregConfig, VarianceCovarianceConfig
from jepa_core.contracts import Batch, Objective
from jepa_core.training.precision import full
from jepa_core.training.totals import total

if TYPE_CHECKING:
    from jepa_core.training.learner import Learner

# Keeps the gradient of the square root finite where a dimension does not vary at all.
EPSILON = 1e-4


class VarianceCovariance(Objective[VarianceCovarianceConfig]):
    """Variance and covariance terms of VICReg (Bardes, Ponce & LeCun, arXiv 2105.04906).

        variance   = mean over dimensions of max(0, target_std - sqrt(var + epsilon))
        covariance = sum over pairs of different dimensions of their covariance squared, divided by D

    VICReg takes its statistics over a batch of images. Here the samples are the states of all windows and steps of the
    batch together, padding left out, so variation within a trajectory and between trajectories both count. Computed in
    fp32.
    """

    def terms(self, learner: Learner, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """Terms `variance` and `covariance`. With fewer than two states neither has a gradient."""
        latents = learner.latents(batch)
        with torch.autocast(latents.states.device.type, enabled=False):
            covariance = _covariance(full(latents.states).flatten(0, 1), latents.mask.flatten())
            variances = covariance.diagonal()
            deficit = (self.config.target_std - (variances + EPSILON).sqrt()).relu()
            redundancy = (covariance.square().sum() - variances.square().sum()) / len(variances)
        return {"variance": deficit.mean(), "covariance": self.config.covariance_factor * redundancy}


class Sigreg(Objective[SigregConfig]):
    """Sketched isotropic Gaussian regularization (SIGReg of LeJEPA, Balestriero & LeCun, arXiv 2511.08544).

    The latents are projected on random directions a of length 1, drawn anew at each step; the distribution of each
    projection is compared with N(0, 1) by the statistic of Epps & Pulley,

        N * integral of |mean_n exp(i t a.z_n) - exp(-t^2 / 2)|^2 exp(-t^2 / 2) dt,

    by the trapezoid rule, and the term is its mean over the directions. N is the number of samples: the states of all
    windows and steps of the batch together, padding left out. For N(0, 1) samples the expected value is 1.06 whatever N
    is; for others it grows with N, so that a weight belongs to a batch size.

    Time and memory are linear in N. Computed in fp32. Directions are drawn on the CPU.
    """

    def terms(self, learner: Learner, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """Term `sigreg`; 0 if the batch has no state."""
        latents = learner.latents(batch)
        states = latents.states
        with torch.autocast(states.device.type, enabled=False):
            drawn = torch.randn(states.shape[-1], self.config.projections, generator=generator)
            directions = drawn.to(states.device)
            projected = full(states).flatten(0, 1) @ (directions / directions.norm(dim=0))
            statistic = epps_pulley(projected, latents.mask.flatten(), self.config.knots, self.config.reach)
        return {"sigreg": statistic.mean()}


def epps_pulley(samples: Tensor, mask: Tensor, knots: int, reach: float) -> Tensor:
    """Epps-Pulley statistics (P,) of the columns of `samples` (N, P) against N(0, 1), over the rows that `mask` marks.

    The integrand is even in t, so [0, reach] is computed, at `knots` points, and counts twice.
    """
    points = torch.linspace(0, reach, knots, device=samples.device)
    normal = (-points.square() / 2).exp()
    angles = samples[..., None] * points
    weight = mask.to(samples.dtype)
    count = total(weight.sum())
    real, imaginary = (
        total(torch.einsum("n,npt->pt", weight, part)) / count.clamp(min=1) for part in (angles.cos(), angles.sin())
    )
    distance = (real - normal).square() + imaginary.square()
    return 2 * count * torch.trapezoid(distance * normal, points, dim=-1)


def _covariance(samples: Tensor, mask: Tensor) -> Tensor:
    """Unbiased covariance (D, D) of the samples (N, D) that `mask` (N,) marks; zeros if there are fewer than two.

    Weighting instead of selecting keeps shapes fixed, so an accelerator need not wait for the mask. Where the step is
    divided, each part gives its second moment about its own mean, and the moments are put together in double precision
    (Chan, Golub & LeVeque 1983), in which the means may be far from 0: so no total is made of another.
    """
    weight = mask.to(samples.dtype)[:, None]
    count = weight.sum()
    mean = (weight * samples).sum(dim=0) / count.clamp(min=1)
    centred = (samples - mean) * weight
    added = (centred.T @ centred).double() + count * torch.outer(mean.double(), mean.double())
    every, moment, sums = total(count).double(), total(added), total(count * mean.double())
    moment = moment - torch.outer(sums, sums) / every.clamp(min=1)
    return (moment / (every - 1).clamp(min=1)).to(samples.dtype)

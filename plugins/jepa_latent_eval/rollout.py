"""Errors of rollouts and of what needs no model, on the same windows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from jepa_core.contracts import Batch, Latents, Predictor, Rollout
from jepa_core.training.shares import end_to_end, over_windows

if TYPE_CHECKING:
    from jepa_core.data.dataset import Dataset, Windows
    from jepa_core.training.learner import Learner

ROLLOUT = "rollout"
PERSISTENCE = "persistence"
MEAN = "mean latent"
SHUFFLED = "shuffled actions"


@dataclass(frozen=True)
class Cohort:
    """The windows of one context: all of C + H steps, so that every horizon is measured on the same ones.

    index: (N,) indices into `windows`. subjects: (N,). donor: (N,) for each window, the index of a window of another
    subject.
    """

    context: int
    horizon: int
    windows: Windows
    index: np.ndarray
    subjects: np.ndarray
    donor: np.ndarray


def find_cohort(dataset: Dataset, split: str, context: int, horizon: int, stride: int, seed: int) -> Cohort | str:
    """The cohort of a context, or why it cannot be measured."""
    if horizon < 1:
        return f"context {context}: the windows of training end before a step is left to predict"
    length = context + horizon
    windows = dataset.windows(split=split, length=length, stride=stride, min_length=length)
    index = np.arange(len(windows))
    subjects = dataset.subject[windows.trajectory]
    if len(np.unique(subjects)) < 2:
        return f"context {context}: fewer than 2 subjects of the split have a window of {length} steps"
    return Cohort(context, horizon, windows, index, subjects, windows_of_others(subjects, seed))


def windows_of_others(subjects: np.ndarray, seed: int) -> np.ndarray:
    """For each window, one drawn from the windows of all other subjects: (N,) indices. Needs two subjects.

    With the windows in the order of their subjects, those of others are one run that starts behind the subject's own.
    """
    order = np.argsort(subjects, kind="stable")
    _, owner, counts = np.unique(subjects, return_inverse=True, return_counts=True)
    behind = np.cumsum(counts)[owner]
    others = len(subjects) - counts[owner]
    steps = np.random.default_rng(seed).integers(0, others)
    return order[(behind + steps) % len(subjects)]


def rollout_errors(
    learner: Learner, dataset: Dataset, cohort: Cohort, mean: Tensor, batch_size: int, shuffled: bool
) -> dict[str, np.ndarray]:
    """l1 between forecast and encoded state, mean over dimensions: (N, H) float64 for each forecast.

    mean: (D,), the forecast MEAN. The rollouts see C steps and then the recorded actions; SHUFFLED, where wanted, sees
    those of the window's donor from step C on. Only these scalars are kept of each batch.
    """

    def errors_of(part: np.ndarray, batch: Batch) -> dict[str, np.ndarray]:
        latents = learner.latents(batch)
        donated = learner.latents(dataset.batch(cohort.windows, cohort.donor[part])).actions if shuffled else None
        forecasts = _forecasts(learner, latents, cohort.context, mean, donated)
        targets = latents.states[:, cohort.context :].float()
        errors = {name: (forecast - targets).abs().mean(dim=-1) for name, forecast in forecasts.items()}
        return {name: error.double().cpu().numpy() for name, error in errors.items()}

    return end_to_end(over_windows(learner, cohort.windows, cohort.index, batch_size, errors_of))


def _forecasts(
    learner: Learner, latents: Latents, context: int, mean: Tensor, donated: Tensor | None
) -> dict[str, Tensor]:
    """Every forecast of states C .. C + H - 1: (B, H, D) each, or something that broadcasts to it."""
    forecasts = {
        ROLLOUT: roll_out_windows(learner, latents, context),
        PERSISTENCE: latents.states[:, context - 1 : context].float(),
        MEAN: mean.expand(1, 1, -1),
    }
    if donated is not None:
        swapped = torch.cat([latents.actions[:, :context], donated[:, context:]], dim=1)
        forecasts[SHUFFLED] = roll_out_windows(learner, replace(latents, actions=swapped), context)
    return forecasts


def roll_out_windows(learner: Learner, latents: Latents, context: int) -> Tensor:
    """States that are rolled out from the first C steps: (B, T - C, D) float32."""
    return imagined_states(learner, latents, context).states[:, 0].float()


def imagined_states(learner: Learner, latents: Latents, context: int) -> Rollout:
    """Roll out from the first C steps, under the actions of `latents`, to their end: one origin a window.

    The states to be predicted are blanked, so that no predictor can read them; each rollout gets a memory of its own,
    because a predictor may write on it.
    """
    return imagine_by(learner.predictor, latents, context)


def imagine_by(predictor: Predictor, latents: Latents, context: int) -> Rollout:
    """The same, by any predictor, such as a member of an ensemble."""
    seen = Latents(latents.static, *(part[:, :context] for part in (latents.states, latents.actions, latents.mask)))
    blanked = torch.cat([seen.states, torch.zeros_like(latents.states[:, context:])], dim=1)
    origins = torch.full((len(blanked), 1), context - 1, dtype=torch.int64, device=blanked.device)
    memory = predictor.memory_for(seen, origins)
    horizon = blanked.shape[1] - context
    return predictor.rollout(replace(latents, states=blanked), memory, origins, horizon)

"""What a linear map reads of the channels off the state latents, summarised up to a row's step.

Latents hold the channels mixed. Heads that cut one input at a time, such as boosted trees, and extremes over time see
little of a mixture; reading the channels back first undoes it. Nothing but the latents is told to the head.

Symbols: S steps, C channels that vary, K size of a latent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.linear_model import Ridge
from sklearn.preprocessing import QuantileTransformer

from jepa_downstream.baseline_channels import samples
from jepa_downstream.encoded import Encoded, Latent, causal_summaries
from jepa_downstream.rows import Rows, by_trajectory

if TYPE_CHECKING:
    from jepa_core.data.dataset import Dataset

STEPS = 30_000
"""Steps of the train split, about, that the map is fitted on."""
PENALTY = 10.0
QUANTILES = 128
LARGEST = 3.0
"""Normal scores are clipped here."""


class LinearReadings:
    """Reads channels off the state latents of a step, by a linear map: the static latent, six causal summaries of what
    is read at each step (see `causal_summaries`), and the mean of the last action latents, (R, F) float32.

    weights: (K, targets); bias: (targets,).
    """

    def __init__(self, latent: Latent, weights: np.ndarray, bias: np.ndarray) -> None:
        self._latent, self.weights, self.bias = latent, weights, bias

    @classmethod
    def fit(cls, encoded: Encoded, channels: Dataset, seed: int) -> LinearReadings:
        """By ridge regression on steps of the train split. channels: the same trajectories, rendered as numbers.

        The targets are the normal scores of every channel of a state (0 where nothing was observed) and whether it was
        observed. No label and no outcome is read.
        """
        drawn = _drawn(channels, seed)
        values = np.concatenate([_values(channels, part) for part in drawn])
        latents = np.concatenate([encoded.arrays["states"][part] for part in drawn])
        model = Ridge(alpha=PENALTY).fit(latents, _targets(values, seed))
        return cls(encoded, model.coef_.T.copy(), model.intercept_)

    def __call__(self, rows: Rows) -> np.ndarray:
        size = self._latent.projections.size
        features = np.empty((len(rows), 2 * size + 6 * len(self.bias)), dtype=np.float32)
        for trajectory, index in by_trajectory(rows):
            steps = rows.step[index]
            static, states, actions = self._latent.of(trajectory)
            # Of all steps, so that no bit depends on which of them are asked for.
            read = (states @ self.weights + self.bias).astype(np.float32)
            facts = np.broadcast_to(static, (len(steps), size))
            features[index] = np.concatenate([facts, causal_summaries(read, actions, steps)], axis=1)
        return features

    def to_state(self) -> dict[str, Any]:
        """As a kept head holds it."""
        projections = self._latent.projections.to_state()
        return {"kind": "readings", "projections": projections, "weights": self.weights, "bias": self.bias}


def _drawn(dataset: Dataset, seed: int) -> list[slice]:
    """Steps of whole trajectories of the train split, in a drawn order, until there are enough."""
    order = np.random.default_rng(seed).permutation(dataset.trajectories("train"))
    count = int(np.searchsorted(np.cumsum(dataset.steps[order]), STEPS)) + 1
    first = dataset.store.first_step[order[:count]]
    return [
        slice(int(start), int(start) + int(steps)) for start, steps in zip(first, dataset.steps[order], strict=False)
    ]


def _values(dataset: Dataset, part: slice) -> np.ndarray:
    """Channels of states: (T, C) float32, the mean of a step's samples, NaN where nothing was observed."""
    return samples(dataset, np.array(dataset.rendering.state[part])).nanmean(dim=2).numpy()


def _targets(values: np.ndarray, seed: int) -> np.ndarray:
    """(S, C) values to the normal scores of those that vary, and to masks that vary: (S, targets) float32."""
    observed = ~np.isnan(values)
    seen = values[:, observed.any(axis=0)]
    scores = QuantileTransformer(
        n_quantiles=min(QUANTILES, len(seen)), output_distribution="normal", random_state=seed
    ).fit_transform(seen)
    scores = np.nan_to_num(np.clip(scores, -LARGEST, LARGEST))
    targets = np.concatenate([scores, observed], axis=1).astype(np.float32)
    return targets[:, targets.std(axis=0) > 0]

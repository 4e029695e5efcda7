"""What scores every step of a trajectory, fitted on steps of the train split; no label is read."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from jepa_anomalies.config import AnomaliesConfig
from jepa_anomalies.foreseeing import Foresight
from jepa_anomalies.forest import IsolationScores
from jepa_anomalies.readout import ChannelReadout
from jepa_anomalies.residuals import (
    ChannelResiduals,
    LastValueResiduals,
    LatentResiduals,
    Moments,
    Observed,
    Residuals,
    Scale,
    overall,
)
from jepa_core.contracts import Evaluation
from jepa_core.data.dataset import Dataset
from jepa_core.data.observations import Observer
from jepa_core.model.view import View
from jepa_core.training.learner import Learner
from jepa_core.training.processes import ALONE, Peers
from jepa_core.training.shares import end_to_end, over_trajectories

SURPRISE = "surprise"
OF_LATENTS = "surprise of latents"
UNTRAINED = "surprise, untrained"
LAST_VALUE = "last value"
FOREST = "isolation forest"

Detector = Callable[[int], np.ndarray]
"""Scores (T,) of a trajectory by its position in the data, NaN where there is none."""


@dataclass(frozen=True)
class Standardised:
    """Residuals on the scale of the train split. span: steps that a score is the mean of."""

    residuals: Residuals
    scale: Scale
    span: int

    def by_channel(self, trajectory: int) -> np.ndarray:
        """Surprises (T, C)."""
        return self.scale.surprise(self.residuals(trajectory))

    def __call__(self, trajectory: int) -> np.ndarray:
        return overall(self.by_channel(trajectory), self.span)


@dataclass(frozen=True)
class Basis:
    """What detectors are fitted on: trajectories of the train split. observed: reads the channels of any trajectory.
    mean, spread: (C,) of the train values. processes: that share what is made of the trajectories."""

    trajectories: list[int]
    observed: Observed
    mean: np.ndarray
    spread: np.ndarray
    processes: Peers

    @classmethod
    def of(cls, dataset: Dataset, observed: Observed, steps: int, seed: int, processes: Peers = ALONE) -> Basis | str:
        """Whole trajectories that hold about so many steps, one at the least; or why there are none."""
        order = np.random.default_rng(seed).permutation(dataset.trajectories("train"))
        count = max(1, int(np.searchsorted(np.cumsum(dataset.steps[order]), steps, side="right")))
        drawn = np.sort(order[:count]).tolist()
        if not drawn:
            return "the train split has no trajectory"
        values = np.concatenate([observed(trajectory) for trajectory in drawn])
        shown = np.isfinite(values)
        count_of = np.maximum(shown.sum(axis=0), 1)
        mean = np.where(shown, values, 0.0).sum(axis=0) / count_of
        squares = (np.where(shown, values - mean, 0.0) ** 2).sum(axis=0)
        return cls(drawn, observed, mean, np.sqrt(squares / count_of), processes)

    def together(self, make: Callable[[int], np.ndarray]) -> np.ndarray:
        """What is made of each trajectory, (T, C), one behind another."""
        parts = over_trajectories(self.processes, np.array(self.trajectories), lambda number: {"made": make(number)})
        return end_to_end(parts)["made"]

    def moments(self, make: Callable[[int], np.ndarray]) -> Moments:
        """Moments of what is made of all trajectories, (K, T, C) each; none is held beside the next."""
        parts = over_trajectories(
            self.processes, np.array(self.trajectories), lambda number: vars(Moments.of(make(number)))
        )
        return reduce(operator.add, (Moments(**part) for part in parts))


def reader(observer: Observer, dataset: Dataset) -> Observed:
    """Reads what the steps of trajectories show."""

    def observed(trajectory: int) -> np.ndarray:
        first = int(dataset.store.first_step[trajectory])
        means = observer.means(first + np.arange(int(dataset.steps[trajectory])))
        return np.where(means.observed[..., 0].numpy(), means.values[..., 0].double().numpy(), np.nan)

    return observed


def channel_surprise(foresight: Foresight, basis: Basis, span: int) -> Standardised | str:
    """Surprise of channels, or why it cannot be fitted."""
    belief = basis.together(lambda trajectory: foresight(trajectory).belief[0])
    values = np.concatenate([basis.observed(trajectory) for trajectory in basis.trajectories])
    foreseen = np.isfinite(belief).all(axis=1)
    readout = ChannelReadout.fit(belief[foreseen], values[foreseen])
    if not np.isfinite(readout.bias).any():
        return f"none of {values.shape[1]} channels changes and is shown often enough in the train split"
    residuals = ChannelResiduals(foresight, readout, basis.observed)
    return Standardised(residuals, Scale.of(basis.moments(residuals), basis.spread), span)


def latent_surprise(foresight: Foresight, basis: Basis, span: int) -> Standardised:
    """Surprise of latents."""
    encoded = basis.moments(lambda trajectory: foresight(trajectory).encoded[None].astype(np.float64))
    residuals = LatentResiduals(foresight)
    scale = Scale.of(basis.moments(residuals), encoded.deviation[0])
    return Standardised(residuals, scale, span)


def fit_detectors(
    evaluation: Evaluation, observer: Observer, config: AnomaliesConfig
) -> tuple[dict[str, Detector], Standardised] | str:
    """All detectors by name, and the surprise of channels among them; or why there are none."""
    dataset, span = evaluation.dataset, config.span
    processes = evaluation.learner.processes
    basis = Basis.of(dataset, reader(observer, dataset), config.fit_steps, evaluation.seed, processes)
    if isinstance(basis, str):
        return basis
    foresight = _foresight(evaluation.learner, evaluation, config)
    surprise = channel_surprise(foresight, basis, span)
    if isinstance(surprise, str):
        return surprise
    detectors: dict[str, Detector] = {SURPRISE: surprise, OF_LATENTS: latent_surprise(foresight, basis, span)}
    if config.untrained and evaluation.untrained is not None:
        control = channel_surprise(_foresight(evaluation.untrained(), evaluation, config), basis, span)
        if not isinstance(control, str):
            detectors[UNTRAINED] = control
    residuals = LastValueResiduals(basis.observed)
    detectors[LAST_VALUE] = Standardised(residuals, Scale.of(basis.moments(residuals), basis.spread), span)
    detectors[FOREST] = IsolationScores.fit(
        basis.observed, basis.trajectories, basis.mean, config.trees, span, evaluation.seed % 2**32
    )
    return detectors, surprise


def _foresight(learner: Learner, evaluation: Evaluation, config: AnomaliesConfig) -> Foresight:
    return Foresight(View.of(learner, evaluation), sorted(set(config.horizons)))


def surprise_state(surprise: Standardised, horizons: Sequence[int]) -> dict[str, Any]:
    """Surprise of channels as a kept head holds it."""
    residuals = surprise.residuals
    assert isinstance(residuals, ChannelResiduals)
    return {
        "horizons": list(horizons),
        "span": surprise.span,
        "readout": residuals.readout.to_state(),
        "scale": surprise.scale.to_state(),
    }


def surprise_of(state: Mapping[str, Any], view: View, observed: Observed) -> Standardised:
    """The surprise of channels that gave a state, on other data."""
    foresight = Foresight(view, state["horizons"])
    residuals = ChannelResiduals(foresight, ChannelReadout.from_state(state["readout"]), observed)
    return Standardised(residuals, Scale.from_state(state["scale"]), state["span"])

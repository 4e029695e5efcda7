"""A run's model as a transformer of scikit-learn: features of trajectories for any estimator behind it.

Imported where one is made: scikit-learn takes a second.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch

from jepa_core.contracts import Channels, Latents
from jepa_core.errors import DataError, RecipeError
from jepa_core.io.files import real_path
from jepa_core.libraries import library
from jepa_core.model.data import Data
from jepa_core.model.loading import load
from jepa_core.model.model import Model

with library("sklearn"):
    from sklearn.base import BaseEstimator, TransformerMixin
    from sklearn.utils.validation import check_is_fitted, validate_data

Kind = Literal["latents", "belief", "decoded_belief"]


class NoTrajectories(DataError, ValueError):
    """What was given to a transformer is nothing that the run's model reads."""


class JepaFeatures(TransformerMixin, BaseEstimator):
    """Features of every trajectory at one of its steps, by the frozen model of a finished run.

    run: its folder. features: `latents` (of the state at the step), `belief` (what the predictor knows there), or
    `decoded_belief` (channels of the next step as the run's decoder reads them off it, in their units). at: how many
    steps are seen; None takes all that a trajectory has. device: `auto`, `cpu` or `cuda`.

    `fit` learns nothing: it loads the model. What is transformed is a path that the run's source reads, what
    `Model.read` of a model of this run made of one, or, where the encoder reads channels, an array (trajectory, step,
    channel), or (trajectory, step, channel, sample), with NaN for what was not observed. Its channels are those of the
    encoder's items, in their order; no action is done and no static fact is known in it. An array of two dimensions
    holds the same, step behind step in one row: where there is one channel, (trajectory, step).

    A pickle holds the parameters and not the model, which is loaded again from the run's folder.
    """

    def __init__(self, run: str | Path, features: Kind = "latents", at: int | None = None, device: str = "auto"):
        self.run = run
        self.features = features
        self.at = at
        self.device = device

    def fit(self, X: Any, y: Any = None) -> JepaFeatures:
        """Load the model. Raises RunError, DataError or PluginError as `jepa_core.load` does, RecipeError for features
        that there are not."""
        if self.features not in get_args(Kind):
            raise RecipeError(f"features are one of {', '.join(get_args(Kind))}, not {self.features!r}")
        if self.at is not None and self.at < 1:
            raise RecipeError(f"at counts the steps that are seen: 1 or more, not {self.at!r}")
        model = load(self.run, self.device)
        if self.features == "decoded_belief" and model.decoder is None:
            raise RecipeError(f"{model!r} keeps no decoder of channels; it needs an objective such as grounding")
        self.model_ = model
        self._trajectories(X, reset=True)  # so that what cannot be read is refused here
        return self

    def transform(self, X: Any) -> np.ndarray:
        """(trajectories, features) float64, in the order of the trajectories. Raises NoTrajectories for what the model
        cannot read, or for a trajectory of fewer than `at` steps."""
        check_is_fitted(self, "model_")
        with torch.no_grad():
            rows = [self._row(number, latents) for number, latents in enumerate(self._trajectories(X, reset=False))]
        return np.stack(rows).astype(np.float64)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the columns: those of channels where the belief is decoded."""
        check_is_fitted(self, "model_")
        if self.features == "decoded_belief":
            assert self.model_.decoder is not None
            return np.array([channel.name for channel in self.model_.decoder.channels], dtype=object)
        frozen = self.model_.frozen
        size = frozen.encoder.latent_dim if self.features == "latents" else frozen.predictor.belief_dim
        prefix = "latent" if self.features == "latents" else "belief"
        return np.array([f"{prefix}{number}" for number in range(size)], dtype=object)

    def _trajectories(self, X: Any, reset: bool) -> Iterator[Latents]:
        """Latents of each trajectory, a batch of one each; what cannot be read is refused at once. reset: whether the
        width of a table is noted, or held against what was noted."""
        model = self.model_
        if isinstance(X, Data):
            return _of_data(model, X)
        if isinstance(X, str | Path):
            return _of_data(model, model.read(X))
        if (X.ndim if hasattr(X, "ndim") else np.asarray(X).ndim) > 2:
            values = np.asarray(X, dtype=np.float64)
        else:
            values = validate_data(self, X, reset=reset, dtype=np.float64, ensure_all_finite="allow-nan")
        return (_of_array(model, trajectory) for trajectory in _items_of(model, values))

    def _row(self, number: int, latents: Latents) -> np.ndarray:
        steps = latents.states.shape[1]
        last = (steps if self.at is None else self.at) - 1
        if last >= steps:
            raise NoTrajectories(f"the trajectory at the position {number} has {steps} steps, and at is {self.at}")
        if self.features == "latents":
            return latents.states[0, last].cpu().numpy()
        belief = self.model_.frozen.beliefs(latents, self.model_.reach.window)[last].cpu().numpy()
        if self.features == "belief":
            return belief
        decoder = self.model_.decoder
        assert decoder is not None
        return decoder.values(decoder.scores(belief[None]))[0]

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        state["fitted"] = state.pop("model_", None) is not None
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        fitted = state.pop("fitted", False)
        super().__setstate__(state)
        if fitted:
            self.model_ = load(self.run, self.device)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        tags.requires_fit = True
        return tags


def _of_data(model: Model, data: Data) -> Iterator[Latents]:
    """Latents of each trajectory of data that a model of the same run has read."""
    if real_path(data.reader.folder) != real_path(model.folder):
        raise NoTrajectories(f"these data were read by {data.reader!r}; give what a model of {model!r} read")
    return (data.view.latents(trajectory) for trajectory in range(len(data)))


def _items_of(model: Model, values: np.ndarray) -> np.ndarray:
    """(N, T, C, P) float32 of an array in one of the shapes that are taken. Raises NoTrajectories for another."""
    item = model.source_config.item_shape()
    if item is None or model.modality != "channels":
        raise NoTrajectories(f"the encoder of {model!r} reads texts; give a path, or what its `read` made of one")
    channels, samples = item.channels, item.samples
    shape = values.shape
    if values.ndim == 2 and shape[1] % (channels * samples) == 0:
        values = values.reshape(len(values), -1, channels, samples)
    elif values.ndim == 3 and samples == 1:
        values = values[..., None]
    if values.ndim != 4 or values.shape[2:] != (channels, samples) or 0 in values.shape:
        raise NoTrajectories(
            f"an array of shape {shape} holds no trajectories of steps with {channels} channels of {samples} samples; "
            "give (trajectory, step, channel), or a row of channels step behind step"
        )
    if (np.abs(values) > np.finfo(np.float32).max).any():
        raise NoTrajectories("the array holds values that are infinite in float32; NaN is what was not observed")
    return values.astype(np.float32)


def _of_array(model: Model, values: np.ndarray) -> Latents:
    """Latents of one trajectory (T, C, P), in which nothing is done and no static fact is known."""
    observed = torch.from_numpy(~np.isnan(values))
    unknown = torch.zeros((1, *values.shape[1:]))
    items = Channels(
        torch.cat([torch.from_numpy(np.nan_to_num(values, nan=0.0)), unknown]),
        torch.cat([observed, torch.zeros_like(unknown, dtype=torch.bool)]),
    )
    encoded = model.frozen.encode(items)
    states, nothing = encoded[None, :-1], encoded[None, -1:]
    mask = torch.ones(states.shape[:2], dtype=torch.bool, device=states.device)
    return Latents(encoded[-1:], states, nothing.expand_as(states), mask)

"""What states show in numbers, for objectives and decoders, whatever the encoder reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from jepa_core.contracts import Channels, Observations
from jepa_core.data.dataset import Dataset
from jepa_core.data.standardisation import NormalScores
from jepa_core.io.records import Shape, read_sealed, write_sealed

CLIP = 5.0
"""Beyond every normal score: the outermost of the quantiles has 2.7."""


class Observer:
    """Reads the states of steps as numbers, on one scale for every channel: normal scores among the observed values of
    the train split. What is kept of the scale is shared by subjects (`jepa_core.data.rarity`).

    The value of a step is the mean of its observed samples.
    """

    def __init__(self, opens: Callable[[], Dataset], channels: Mapping[str, int], kept: Path | None = None) -> None:
        """opens: the trajectories rendered for the modality `channels`; called when the first numbers are asked for.
        channels: place of each channel among those of an item, by name. kept: file of the scale, which is found on the
        train split and written there, or taken from there."""
        self.channels = dict(channels)
        self.names = list(channels)
        self._places = torch.tensor(list(channels.values()), dtype=torch.int64)
        self._opens = opens
        self._kept = kept

    def prepare(self) -> None:
        """Open the data and find the scale, so that what is wrong with them shows now.

        Raises DataError if an observed value of the train split is not finite.
        """
        _ = self.scaling, self._dataset

    def of(self, steps: Tensor) -> Observations:
        """Observations of the steps with these numbers (B, T) among all of the store, on the CPU."""
        means = self.means(steps.flatten().numpy())
        scores = self.scaling(means.values, means.observed)
        shape = (*steps.shape, len(self.names))
        return Observations(scores.view(shape), means.observed.view(shape))

    @cached_property
    def scaling(self) -> NormalScores:
        """The scale of each channel."""
        scaling = NormalScores(len(self.names), CLIP)
        if self._kept is not None and self._kept.is_file():
            scaling.load_fitted(read_sealed(self._kept, Shape, "delete it, and it is found again"))
            return scaling
        scaling.fit(self._training_states())
        scaling.forget_rare(self._owned_states())
        if self._kept is not None:
            write_sealed(self._kept, scaling.fitted())
        return scaling

    @cached_property
    def _dataset(self) -> Dataset:
        return self._opens()

    def _training_states(self, chunk: int = 4096) -> Iterator[Channels]:
        first, steps = self._dataset.store.first_step, self._dataset.steps
        trajectories = self._dataset.trajectories("train")
        numbers = [first[trajectory] + np.arange(steps[trajectory]) for trajectory in trajectories]
        every = np.concatenate([*numbers, np.empty(0, dtype=np.int64)])
        for start in range(0, len(every), chunk):
            yield self.means(every[start : start + chunk])

    def _owned_states(self) -> Iterator[tuple[int, Channels]]:
        """The states of each trajectory of train, with its subject, subject by subject."""
        first, steps = self._dataset.store.first_step, self._dataset.steps
        for trajectory in self._dataset.by_subject("train").tolist():
            numbers = first[trajectory] + np.arange(steps[trajectory])
            yield int(self._dataset.subject[trajectory]), self.means(numbers)

    def means(self, steps: np.ndarray) -> Channels:
        """Means over the observed samples of the steps with these numbers (N,) among all of the store, in the data's
        units: (N, C, 1)."""
        rendering = self._dataset.rendering
        items = rendering.take(rendering.state[steps])
        assert isinstance(items, Channels)
        return means_of(items, self._places)


def means_of(items: Channels, places: Tensor) -> Channels:
    """Means over the observed samples of the channels at some places: items (N, C, P) to (N, places, 1)."""
    values, observed = items.values[:, places], items.observed[:, places]
    count = observed.sum(2, keepdim=True)
    return Channels((values * observed).sum(2, keepdim=True) / count.clamp(min=1), count > 0)

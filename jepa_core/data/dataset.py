"""A store and its rendering as what phases and evaluators read: windows and batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch

from jepa_core.config import Modality
from jepa_core.contracts import Batch, Items, Source
from jepa_core.data.rendering import Rendering, open_rendering
from jepa_core.data.store import Store
from jepa_core.data.trajectories import SPLITS
from jepa_core.data.windows import Windows, cut_windows
from jepa_core.errors import DataError


class Dataset:
    """Trajectories of a store, rendered for one modality.

    subject: (N,) int64; split: (N,) int8 index into SPLITS; steps: (N,) int32.
    """

    def __init__(self, store: Store, rendering: Rendering) -> None:
        self.store = store
        self.rendering = rendering
        self.subject = store.subject
        self.split = store.split
        self.steps = store.steps
        _refuse_shared_subjects(store)

    @property
    def modality(self) -> Modality:
        """What the trajectories are rendered for."""
        return self.rendering.modality

    @classmethod
    def open(cls, store: Store, source: Source, modality: str) -> Dataset:
        """Open a store for the encoders of a modality."""
        return cls(store, open_rendering(store, source, modality))

    def trajectories(self, split: str) -> np.ndarray:
        """Indices of the trajectories of a split."""
        return np.flatnonzero(self.split == SPLITS.index(split))

    def by_subject(self, split: str) -> np.ndarray:
        """The same, all of one subject's one after another."""
        trajectories = self.trajectories(split)
        return trajectories[np.argsort(np.asarray(self.subject)[trajectories], kind="stable")]

    def windows(self, split: str, length: int, stride: int, min_length: int) -> Windows:
        """Windows of a split; see `cut_windows`."""
        return self.windows_of(self.trajectories(split), length, stride, min_length)

    def windows_of(self, trajectories: np.ndarray, length: int, stride: int, min_length: int) -> Windows:
        """Windows of the trajectories with the given indices; see `cut_windows`."""
        return cut_windows(trajectories, self.steps[trajectories], length, stride, min_length)

    def batch(self, windows: Windows, index: np.ndarray) -> Batch:
        """The batch of the windows at `index` (B,)."""
        trajectory, length = windows.trajectory[index], windows.length[index]
        offset = np.arange(length.max())
        mask = offset < length[:, None]
        step = (self.store.first_step[trajectory] + windows.start[index])[:, None] + np.where(mask, offset, 0)
        ids = np.concatenate(
            [self.rendering.static[trajectory], self.rendering.state[step].ravel(), self.rendering.action[step].ravel()]
        )
        items, inverse = np.unique(ids, return_inverse=True)
        size, steps = len(index), mask.size
        places = torch.from_numpy(inverse)
        return Batch(
            items=torch.from_numpy(items),
            static=places[:size],
            states=places[size : size + steps].view(mask.shape),
            actions=places[size + steps :].view(mask.shape),
            steps=torch.from_numpy(step),
            mask=torch.from_numpy(mask),
        )

    def items(self, ids: torch.Tensor) -> Items:
        """The items of the given ids, as an encoder takes them."""
        return self.rendering.take(ids.cpu().numpy())

    def sizes(self, ids: torch.Tensor) -> torch.Tensor:
        """What encoding the items of the given ids (N,) costs, beside one another: (N,) int64."""
        return torch.from_numpy(self.rendering.sizes(ids.cpu().numpy()))

    def training_items(self, chunk: int = 4096) -> Iterator[Items]:
        """The distinct items of the train split, in order, a chunk at a time: all that an encoder may be fitted on."""
        trajectories = self.trajectories("train")
        steps = [
            self._of_trajectory(role, trajectory)
            for trajectory in trajectories
            for role in (self.rendering.state, self.rendering.action)
        ]
        ids = np.unique(np.concatenate([self.rendering.static[trajectories], *steps]))
        for start in range(0, len(ids), chunk):
            yield self.rendering.take(ids[start : start + chunk])

    def owned_items(self) -> Iterator[tuple[int, Items]]:
        """The distinct items of each trajectory of the train split, with its subject, subject by subject."""
        for trajectory in self.by_subject("train").tolist():
            own = [self._of_trajectory(role, trajectory) for role in (self.rendering.state, self.rendering.action)]
            ids = np.unique(np.concatenate([self.rendering.static[trajectory : trajectory + 1], *own]))
            yield int(self.subject[trajectory]), self.rendering.take(ids)

    def _of_trajectory(self, ids: np.ndarray, trajectory: int) -> np.ndarray:
        first = int(self.store.first_step[trajectory])
        return ids[first : first + int(self.steps[trajectory])]


def trained_on(dataset: Dataset, share: float) -> np.ndarray:
    """Trajectories of a share of the subjects of train, (n,) in order; one subject at the least.

    Which subjects depends on their number alone, and a smaller share is part of a larger one: so shares differ in how
    much there is to train on, under every seed of training.
    """
    trajectories = dataset.trajectories("train")
    subjects, of = np.unique(np.asarray(dataset.subject)[trajectories], return_inverse=True)
    if share == 1 or len(subjects) == 0:
        return trajectories
    rank = np.random.default_rng(0).permutation(len(subjects))
    return trajectories[rank[of] < max(1, round(share * len(subjects)))]


def refuse_empty_splits(dataset: Dataset, splits: Iterable[str]) -> None:
    """Refuse data without a trajectory in one of some splits, before anything is trained for it.

    Raises DataError naming the splits.
    """
    empty = [split for split in dict.fromkeys(splits) if len(dataset.trajectories(split)) == 0]
    if empty:
        raise DataError(
            f"{dataset.store.path} has no trajectory in {' and '.join(empty)}, which the recipe trains or measures on; "
            "give the source more subjects, or the split a share of them (source.split)"
        )


def _refuse_shared_subjects(store: Store) -> None:
    pairs = np.unique(np.stack([store.subject, store.split.astype(np.int64)]), axis=1)
    shared = pairs.shape[1] - len(np.unique(store.subject))
    if shared:
        raise DataError(
            f"{store.path}: {shared} subjects stand in more than one split; the source must split by subject"
        )

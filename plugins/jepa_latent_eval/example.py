"""One trajectory's imagined future beside another, as a figure: what a report shows of what a model can be asked.

Symbols: n trajectories, H horizon, C channels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from jepa_core.contracts import Evaluation, Source
from jepa_core.data.trajectories import Trajectories
from jepa_core.model.acts import PlannedActs
from jepa_core.model.forecasting import Origin, foresee
from jepa_core.model.imagining import CAUTION, OwnData, origins_of
from jepa_core.model.view import View
from jepa_core.results.findings import Figure, Series

LOOKED_AT = 16
"""Trajectories among which the one that is shown is chosen."""
RECORDED, NONE = "under its recorded actions", "if nothing is done"


@dataclass(frozen=True)
class Asked:
    """What is imagined. at: steps that are seen. widths: (H, C) half-widths of intervals, in normal scores, infinite
    where there is none. level: share of the values that they are to cover."""

    split: str
    at: int
    widths: np.ndarray
    level: float

    @property
    def horizon(self) -> int:
        """Steps that are imagined."""
        return len(self.widths)

    def plans(self) -> list[PlannedActs]:
        """What is done in either future: what the trajectory recorded, and nothing."""
        return [
            PlannedActs([], self.at, self.horizon, "recorded"),
            PlannedActs([], self.at, self.horizon, "none"),
        ]  # fmt: skip


def example_figures(evaluation: Evaluation, asked: Asked) -> list[Figure]:
    """The channel in which actions matter most, of the trajectory in which they matter as much as in most: imagined
    under its recorded actions, and under none.

    Nothing is drawn where no decoder is kept, or where nothing acts in the trajectories looked at.
    """
    learner, source = evaluation.learner, evaluation.source
    decoder = next(iter(learner.decoders().values()), None)
    if source is None or decoder is None or learner.observer is None or asked.horizon < 2:
        return []
    view = View.of(learner, evaluation)
    origins = list(_origins(evaluation, source, view, asked))
    if not origins:
        return []
    belief = torch.from_numpy(foresee(view.frozen, iter(origins), asked.horizon).belief).to(view.frozen.device)
    with torch.no_grad():
        scores = decoder.next_values(belief).float().cpu().numpy()
    scores = scores.reshape(-1, len(asked.plans()), *scores.shape[1:])
    chosen = _chosen(scores, asked)
    if chosen is None:
        return []
    trajectory, channel = chosen
    shown = scores[trajectory]
    ends = [learner.observer.scaling.values(shown + off)[..., channel] for off in (0.0, -asked.widths, asked.widths)]
    name = learner.observer.names[channel]
    units = {known.name: known.unit for known in evaluation.dataset.store.channels}
    return [_figure(ends, name, units.get(name, ""), asked)]


def _origins(evaluation: Evaluation, source: Source, view: View, asked: Asked) -> Iterator[Origin]:
    """Those of the plans, trajectory by trajectory, of the first in which something is done in the steps to come."""
    dataset = evaluation.dataset
    numbers = dataset.trajectories(asked.split)
    numbers = numbers[dataset.steps[numbers] >= asked.at + asked.horizon]
    data, context, left = OwnData(source, dataset), _context(evaluation, asked), LOOKED_AT
    for trajectory, alone in dataset.store.each(numbers):
        if left and _acts(alone, asked):
            left -= 1
            yield from origins_of(view, data, trajectory, alone, asked.plans(), context)


def _context(evaluation: Evaluation, asked: Asked) -> int:
    return min(asked.at, max(1, evaluation.window_length - asked.horizon))


def _acts(alone: Trajectories, asked: Asked) -> bool:
    """Whether an action is recorded that leads to a step imagined."""
    offsets = alone.action.offsets
    return bool(offsets[asked.at + asked.horizon - 1] > offsets[asked.at])


def _chosen(scores: np.ndarray, asked: Asked) -> tuple[int, int] | None:
    """The trajectory and the channel that are shown, of scores (n, 2, H, C); None if actions change nothing."""
    size = np.abs(scores[:, 0] - scores[:, 1]).mean(axis=1)
    size[:, ~np.isfinite(asked.widths).all(axis=0)] = -1.0
    channel = int(size.mean(axis=0).argmax())
    own = size[:, channel]
    return (int(np.argsort(own, kind="stable")[len(own) // 2]), channel) if own.max() > 0 else None


def _figure(ends: list[np.ndarray], channel: str, unit: str, asked: Asked) -> Figure:
    """ends: values, lower and upper bounds, (2, H) each."""
    x = [float(h) for h in range(1, asked.horizon + 1)]
    series = [
        Series(name, x, *(values[number].astype(float).tolist() for values in ends))
        for number, name in enumerate((RECORDED, NONE))
    ]
    caution = CAUTION[0].upper() + CAUTION[1:]
    note = f"Of {LOOKED_AT} trajectories at the most, the one whose two futures differ by the median. {caution}."
    return Figure(
        "example", "One trajectory, imagined under its recorded actions and if nothing is done", "steps ahead",
        f"{channel} ({unit})" if unit else channel, series, note=note,
        band=f"Bands: {asked.level:.0%} intervals, fitted under recorded actions",
    )  # fmt: skip

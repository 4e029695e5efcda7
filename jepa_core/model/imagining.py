"""States to come under actions that were chosen, not recorded.

What is imagined follows the associations in the recorded data. Why an action was taken is not in them: logged actions
do not identify what an intervention does, and every answer says so.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from torch import Tensor

from jepa_core.contracts import Channels, Items, Latents, Source
from jepa_core.data.trajectories import Rendered, Trajectories
from jepa_core.errors import DataError
from jepa_core.model.acts import PlannedActs, acted
from jepa_core.model.forecasting import Origin

if TYPE_CHECKING:
    from jepa_core.data.dataset import Dataset
    from jepa_core.model.frozen import Frozen
    from jepa_core.model.view import View

log = logging.getLogger("jepa")

CAUTION = "recorded actions do not identify what an intervention does; this is what the model associates with it"


class Actable(Protocol):
    """Trajectories whose actions can be chosen: a source, and what it built, as an encoder reads it."""

    @property
    def source(self) -> Source: ...

    @property
    def dataset(self) -> Dataset: ...

    def rendered(self, trajectories: Trajectories) -> Rendered:
        """The items of trajectories that are made of these."""
        ...


@dataclass(frozen=True)
class OwnData:
    """A run's own trajectories, for its evaluators. dataset: as its encoder reads it."""

    source: Source
    dataset: Dataset

    def rendered(self, trajectories: Trajectories) -> Rendered:
        """The items of trajectories that are made of these."""
        return self.source.render(trajectories, self.dataset.store.channels, self.dataset.modality)


def able_to(data: Actable, chosen: np.ndarray, plans: Sequence[PlannedActs]) -> tuple[np.ndarray, str]:
    """Those of the chosen trajectories, ascending, that have what the acts of every plan need, such as the weight that
    a dose is given by; and why the first of the others has not, with its position: empty where all have."""
    if not any(plan.acts for plan in plans):
        return chosen, ""
    store, able, reason = data.dataset.store, [], ""
    for trajectory, alone in store.each(chosen):
        try:
            for plan in plans:
                acted(data.source, alone, store.channels, plan)
        except DataError as error:
            reason = reason or f"the trajectory at position {trajectory}: {error}"
        else:
            able.append(trajectory)
    return np.array(able, dtype=np.int64), reason


def those_able(data: Actable, asked: np.ndarray, plans: Sequence[PlannedActs]) -> np.ndarray:
    """`able_to`, with a warning of how many are left out. Raises DataError if all are."""
    chosen, reason = able_to(data, asked, plans)
    if not len(chosen):
        raise DataError(reason)
    left_out = len(asked) - len(chosen)
    if left_out:
        log.warning("left out: %d of %d trajectories, which lack what acts need (%s)", left_out, len(asked), reason)
    return chosen


def origins_under(view: View, data: Actable, chosen: np.ndarray, plan: PlannedActs, context: int) -> Iterator[Origin]:
    """The origin of each chosen trajectory, ascending, with the actions of a plan after it. An origin says of each step
    imagined whether its action is as recorded: none of them but the first, which leads from the last step seen."""
    store = data.dataset.store
    for trajectory, alone in store.each(chosen):
        yield from origins_of(view, data, trajectory, alone, [plan], context)


def origins_of(
    view: View, data: Actable, trajectory: int, alone: Trajectories, plans: Sequence[PlannedActs], context: int
) -> Iterator[Origin]:
    """The origin of one trajectory under each of some plans that begin and end at the same steps; what they do is
    encoded at once. alone: the trajectory by itself.

    Raises DataError, with the trajectory's position, if the source lacks what an act needs."""
    store, known = data.dataset.store, view.latents(trajectory)
    try:
        rendered = [data.rendered(acted(data.source, alone, store.channels, plan)) for plan in plans]
    except DataError as error:
        raise DataError(f"the trajectory at position {trajectory}: {error}") from error
    encoded = _encoded_actions(view.frozen, rendered, plans[0])
    part = slice(plans[0].at - context, plans[0].at)
    seen = Latents(known.static, known.states[:, part], known.actions[:, part], known.mask[:, part])
    for latents in encoded:
        actions = torch.cat([seen.actions, latents[None]], dim=1)
        yield Origin(seen, actions, np.arange(plans[0].horizon) == 0)


def _encoded_actions(frozen: Frozen, rendered: Sequence[Rendered], plan: PlannedActs) -> Tensor:
    """Latents of the actions of the steps from `at` on, of each plan: (P, H - 1, D)."""
    part, ahead = slice(plan.at, plan.at + plan.horizon - 1), plan.horizon - 1
    if ahead == 0:
        return torch.empty(len(rendered), 0, frozen.encoder.latent_dim, device=frozen.device)
    return frozen.encode(_items([rendering.action for rendering in rendered], part)).unflatten(
        0, (len(rendered), ahead)
    )


def _items(actions: Sequence[list[str] | np.ndarray], part: slice) -> Items:
    """The items of a part of each list, one list after another."""
    texts = [text for action in actions if isinstance(action, list) for text in action[part]]
    if texts:
        return texts
    grids = [action[part] for action in actions if isinstance(action, np.ndarray)]
    values = torch.from_numpy(np.concatenate(grids).astype(np.float32))
    return Channels(torch.nan_to_num(values, nan=0.0), ~torch.isnan(values))
